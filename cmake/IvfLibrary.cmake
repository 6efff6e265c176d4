# The names of the library's files and what a static link needs, by system; the imported targets. Used by the
# build itself and, installed, by ivfConfig.cmake. Expects IVF_ABI_VERSION and IVF_VERSION.
if(WIN32)
    set(IVF_SHARED_NAMES ivf.dll)
    if(MSVC)
        set(IVF_IMPORT_NAME ivf.dll.lib)
        set(IVF_STATIC_NAME ivf.lib)
    else()
        set(IVF_IMPORT_NAME libivf.dll.a)
        set(IVF_STATIC_NAME libivf.a)
    endif()
    set(IVF_SYSTEM_LIBRARIES kernel32 ntdll userenv ws2_32 dbghelp)
elseif(APPLE)
    # The file itself, the name that programs ask for, the name that linkers ask for.
    set(IVF_SHARED_NAMES libivf.${IVF_ABI_VERSION}.${IVF_VERSION}.dylib libivf.${IVF_ABI_VERSION}.dylib libivf.dylib)
    set(IVF_SONAME @rpath/libivf.${IVF_ABI_VERSION}.dylib)
    set(IVF_STATIC_NAME libivf.a)
    set(IVF_SYSTEM_LIBRARIES iconv System m)
else()
    set(IVF_SHARED_NAMES libivf.so.${IVF_ABI_VERSION}.${IVF_VERSION} libivf.so.${IVF_ABI_VERSION} libivf.so)
    set(IVF_SONAME libivf.so.${IVF_ABI_VERSION})
    set(IVF_STATIC_NAME libivf.a)
    set(IVF_SYSTEM_LIBRARIES gcc_s util rt pthread m dl c) # rustc --print native-static-libs
endif()

# ivf_add_targets([GLOBAL] SHARED dir IMPORT dir STATIC dir INCLUDE dir...): makes ivf::ivf, ivf::static, ivf::cpp.
function(ivf_add_targets)
    cmake_parse_arguments(arg "GLOBAL" "SHARED;IMPORT;STATIC" "INCLUDE" ${ARGN})
    set(scope)
    if(arg_GLOBAL)
        set(scope GLOBAL)
    endif()
    list(GET IVF_SHARED_NAMES 0 shared_name)

    add_library(ivf::ivf SHARED IMPORTED ${scope})
    set_target_properties(ivf::ivf PROPERTIES
        IMPORTED_LOCATION ${arg_SHARED}/${shared_name}
        INTERFACE_INCLUDE_DIRECTORIES "${arg_INCLUDE}")
    if(IVF_SONAME)
        set_target_properties(ivf::ivf PROPERTIES IMPORTED_SONAME ${IVF_SONAME})
    endif()
    if(IVF_IMPORT_NAME)
        set_target_properties(ivf::ivf PROPERTIES IMPORTED_IMPLIB ${arg_IMPORT}/${IVF_IMPORT_NAME})
    endif()

    add_library(ivf::static STATIC IMPORTED ${scope})
    set_target_properties(ivf::static PROPERTIES
        IMPORTED_LOCATION ${arg_STATIC}/${IVF_STATIC_NAME}
        INTERFACE_INCLUDE_DIRECTORIES "${arg_INCLUDE}"
        INTERFACE_LINK_LIBRARIES "${IVF_SYSTEM_LIBRARIES}")

    add_library(ivf::cpp INTERFACE IMPORTED ${scope})
    set_target_properties(ivf::cpp PROPERTIES
        INTERFACE_LINK_LIBRARIES ivf::ivf
        INTERFACE_COMPILE_FEATURES cxx_std_17)
endfunction()
