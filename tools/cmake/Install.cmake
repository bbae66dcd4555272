# `cmake --install`: the program, its man page, completions, documentation and the exporter's unit, in the usual directories.
# With VETHTRACE_DISTRIBUTION=debian what Debian wants otherwise; `cpack` then makes the package (tools/package does all of it).

include(GNUInstallDirs)
set(VETHTRACE_DISTRIBUTION "" CACHE STRING "debian, or empty for the directories of a local installation")
set(INSTALLED ${CMAKE_BINARY_DIR}/installed)
file(MAKE_DIRECTORY ${INSTALLED})

# Renamed when it is whole, so that no half file is ever taken for a finished one.
add_custom_command(OUTPUT ${INSTALLED}/vethtrace.8.gz
  COMMAND sh -c "\"$1\" < \"$2\" > \"$3\" && gzip -9n < \"$3\" > \"$3.part\" && mv \"$3.part\" \"$3.gz\"" --
          ${SCDOC} ${CMAKE_SOURCE_DIR}/docs/vethtrace.8.scd ${INSTALLED}/vethtrace.8
  DEPENDS ${CMAKE_SOURCE_DIR}/docs/vethtrace.8.scd
  COMMENT "man page vethtrace.8.gz" VERBATIM)
set(made ${INSTALLED}/vethtrace.8.gz)
# The program prints them itself, from the description that it parses its command line by.
foreach(shell bash zsh fish)
  add_custom_command(OUTPUT ${INSTALLED}/completion.${shell}
    COMMAND sh -c "\"$1\" completion \"$2\" > \"$3.part\" && mv \"$3.part\" \"$3\"" --
            $<TARGET_FILE:vethtrace> ${shell} ${INSTALLED}/completion.${shell}
    DEPENDS vethtrace
    COMMENT "completions for ${shell}" VERBATIM)
  list(APPEND made ${INSTALLED}/completion.${shell})
endforeach()
add_custom_target(installed ALL DEPENDS ${made})

install(TARGETS vethtrace RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(FILES ${INSTALLED}/vethtrace.8.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES ${INSTALLED}/completion.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME vethtrace)
install(FILES ${INSTALLED}/completion.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d
        RENAME vethtrace.fish)
if(VETHTRACE_DISTRIBUTION STREQUAL debian)
  set(zsh vendor-completions)
else()
  set(zsh site-functions)
endif()
install(FILES ${INSTALLED}/completion.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/${zsh} RENAME _vethtrace)
# systemd looks there below /usr and /usr/local alike, and knows both sbin by itself.
install(FILES tools/deploy/systemd/vethtrace-export.service DESTINATION lib/systemd/system)

# As in the source: the README says docs/NAME.
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN *.md PATTERN *.json)

if(VETHTRACE_DISTRIBUTION STREQUAL debian)
  file(STRINGS tools/debian/changelog newest LIMIT_COUNT 1)
  string(REGEX MATCH "\\(${PROJECT_VERSION}-([0-9a-z.+~]+)\\)" found "${newest}")
  if(NOT found)
    message(FATAL_ERROR "tools/debian/changelog is not of version ${PROJECT_VERSION}: ${newest}")
  endif()
  set(CPACK_DEBIAN_PACKAGE_RELEASE ${CMAKE_MATCH_1})
  foreach(pair tools/debian/changelog=changelog.Debian.gz docs/CHANGELOG.md=changelog.gz)
    string(REPLACE "=" ";" pair ${pair})
    list(GET pair 0 source)
    list(GET pair 1 packed)
    add_custom_command(OUTPUT ${INSTALLED}/${packed}
      COMMAND sh -c "gzip -9n < \"$1\" > \"$2.part\" && mv \"$2.part\" \"$2\"" --
              ${CMAKE_SOURCE_DIR}/${source} ${INSTALLED}/${packed}
      DEPENDS ${CMAKE_SOURCE_DIR}/${source} VERBATIM)
    add_custom_target(${packed} ALL DEPENDS ${INSTALLED}/${packed})
    install(FILES ${INSTALLED}/${packed} DESTINATION ${CMAKE_INSTALL_DOCDIR})
  endforeach()
  install(FILES tools/debian/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
else()
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/tools/cmake/PackageTimes.cmake)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The vethtrace developers <vethtrace@users.noreply.invalid>")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# The line above it is the project's own.
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Follows packets of TCP request and response through a container's network,
hop by hop, and checks the hops against the round trip that the application
measured. Compares veth, bridge, NAT, macvlan, ipvlan and netkit, watches the
containers of a node, and exports metrics for Prometheus.")
include(CPack)
