# What goes where. Everything installed is relocatable: no file holds the prefix.
list(GET IVF_SHARED_NAMES 0 shared_name)

# `cmake --install` without a build before it: build now.
install(CODE "
    if(NOT EXISTS \"${IVF_STAGE}/${shared_name}\")
        execute_process(COMMAND \"${CMAKE_COMMAND}\" --build \"${CMAKE_BINARY_DIR}\" --target ivf_cargo
                        RESULT_VARIABLE failed)
        if(failed)
            message(FATAL_ERROR \"libivf could not be built\")
        endif()
    endif()")

if(WIN32)
    set(shared_directory ${CMAKE_INSTALL_BINDIR})
    install(FILES ${IVF_STAGE}/${IVF_IMPORT_NAME} DESTINATION ${CMAKE_INSTALL_LIBDIR})
else()
    set(shared_directory ${CMAKE_INSTALL_LIBDIR})
endif()
set(shared_files ${IVF_SHARED_NAMES})
list(TRANSFORM shared_files PREPEND ${IVF_STAGE}/)
install(FILES ${shared_files} DESTINATION ${shared_directory}
        PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
install(FILES ${IVF_STAGE}/${IVF_STATIC_NAME} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(CODE "
    if(CMAKE_INSTALL_DO_STRIP)
        set(file \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${shared_directory}/${shared_name}\")
        execute_process(COMMAND \"${CMAKE_STRIP}\" \"\${file}\")
    endif()")
install(FILES include/ivf.h bindings/cpp/include/ivf.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES LICENSE-MIT LICENSE-APACHE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/ivf)
set(include_directory ${CMAKE_INSTALL_INCLUDEDIR})
set(static_directory ${CMAKE_INSTALL_LIBDIR})
configure_package_config_file(cmake/ivfConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/ivfConfig.cmake
    INSTALL_DESTINATION ${package_directory}
    PATH_VARS include_directory shared_directory static_directory
    NO_SET_AND_CHECK_MACRO)
# The ABI only ever grows, so a newer version serves whoever asks for an older one of the same major number.
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/ivfConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES
    ${CMAKE_CURRENT_BINARY_DIR}/ivfConfig.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/ivfConfigVersion.cmake
    cmake/IvfLibrary.cmake
    DESTINATION ${package_directory})

# pkg-config: the prefix as seen from the file's own place.
file(RELATIVE_PATH IVF_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH IVF_PC_LIBDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH IVF_PC_INCLUDEDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
list(TRANSFORM IVF_SYSTEM_LIBRARIES PREPEND -l OUTPUT_VARIABLE IVF_PC_PRIVATE)
list(JOIN IVF_PC_PRIVATE " " IVF_PC_PRIVATE)
configure_file(cmake/ivf.pc.in ${CMAKE_CURRENT_BINARY_DIR}/ivf.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ivf.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
