# Defines CAF::core and CAF::io.
#
# CAF 1.x installs a CMake package; Debian's 0.17.6 installs headers and shared libraries only, so
# the package is tried first and the files are looked up by hand after that. No version is handed
# to the inner call: the package of 1.x rejects "0.17.6".
find_package(CAF CONFIG QUIET COMPONENTS ${CAF_FIND_COMPONENTS})
if(TARGET CAF::core)
  return()
endif()
find_package(Threads REQUIRED)
find_path(CAF_INCLUDE_DIR caf/all.hpp)
set(_needs_core Threads::Threads)
set(_needs_io CAF::core)
set(_caf_libraries)
foreach(_part core io)
  find_library(CAF_${_part}_LIBRARY caf_${_part})
  list(APPEND _caf_libraries CAF_${_part}_LIBRARY)
  if(CAF_${_part}_LIBRARY AND CAF_INCLUDE_DIR AND NOT TARGET CAF::${_part})
    add_library(CAF::${_part} SHARED IMPORTED)
    set_target_properties(
      CAF::${_part}
      PROPERTIES IMPORTED_LOCATION "${CAF_${_part}_LIBRARY}"
                 INTERFACE_INCLUDE_DIRECTORIES "${CAF_INCLUDE_DIR}"
                 INTERFACE_LINK_LIBRARIES "${_needs_${_part}}")
  endif()
endforeach()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CAF REQUIRED_VARS CAF_INCLUDE_DIR ${_caf_libraries})
mark_as_advanced(CAF_INCLUDE_DIR ${_caf_libraries})
