# Runs cargo at every build (cargo itself knows what is up to date), then lays the files out in IVF_STAGE under
# the names they have when installed.
set(IVF_STAGE ${CMAKE_CURRENT_BINARY_DIR}/stage)

set(cargo_output ${IVF_CARGO_TARGET_DIR}/release)
set(cargo_arguments lib --target-dir ${IVF_CARGO_TARGET_DIR})
if(IVF_CARGO_TARGET)
    set(cargo_output ${IVF_CARGO_TARGET_DIR}/${IVF_CARGO_TARGET}/release)
    list(APPEND cargo_arguments --target ${IVF_CARGO_TARGET})
endif()
if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/Cargo.lock)
    list(APPEND cargo_arguments --locked)
endif()

# Cargo's names: the last of the shared names (libivf.so), the import library's, the static library's.
list(GET IVF_SHARED_NAMES 0 shared_name)
list(GET IVF_SHARED_NAMES -1 built_name)
set(staged ${IVF_STAGE}/${shared_name} ${IVF_STAGE}/${IVF_STATIC_NAME})
set(lay_out
    COMMAND ${CMAKE_COMMAND} -E make_directory ${IVF_STAGE}
    COMMAND ${CMAKE_COMMAND} -E copy_if_different ${cargo_output}/${built_name} ${IVF_STAGE}/${shared_name}
    COMMAND ${CMAKE_COMMAND} -E copy_if_different ${cargo_output}/${IVF_STATIC_NAME} ${IVF_STAGE}/${IVF_STATIC_NAME})
if(IVF_IMPORT_NAME)
    list(APPEND staged ${IVF_STAGE}/${IVF_IMPORT_NAME})
    list(APPEND lay_out COMMAND ${CMAKE_COMMAND} -E copy_if_different
         ${cargo_output}/${IVF_IMPORT_NAME} ${IVF_STAGE}/${IVF_IMPORT_NAME})
endif()
set(link_to ${shared_name})
foreach(name IN LISTS IVF_SHARED_NAMES)
    if(NOT name STREQUAL shared_name)
        list(APPEND lay_out COMMAND ${CMAKE_COMMAND} -E create_symlink ${link_to} ${IVF_STAGE}/${name})
        set(link_to ${name})
    endif()
endforeach()

add_custom_target(ivf_cargo ALL
    COMMAND ${IVF_CARGO} ${cargo_arguments}
    ${lay_out}
    WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}
    BYPRODUCTS ${staged}
    COMMENT "Building libivf with cargo"
    USES_TERMINAL VERBATIM)

# For add_subdirectory and FetchContent.
ivf_add_targets(GLOBAL SHARED ${IVF_STAGE} IMPORT ${IVF_STAGE} STATIC ${IVF_STAGE}
    INCLUDE ${CMAKE_CURRENT_SOURCE_DIR}/include ${CMAKE_CURRENT_SOURCE_DIR}/bindings/cpp/include)
add_dependencies(ivf::ivf ivf_cargo)
add_dependencies(ivf::static ivf_cargo)
