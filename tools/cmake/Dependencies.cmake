# What vethtrace is built with. Everything comes from the distribution's packages; a missing one is named together with
# the Debian package that brings it.

macro(need_package name debian)
  find_package(${name} QUIET ${ARGN})
  if(NOT ${name}_FOUND)
    message(FATAL_ERROR "${name} is missing: install the Debian package ${debian} (tools/run and tools/test do).")
  endif()
endmacro()

macro(need_pkg_config target module debian)
  pkg_check_modules(${target} QUIET IMPORTED_TARGET ${module})
  if(NOT ${target}_FOUND)
    message(FATAL_ERROR "${module} is missing: install the Debian package ${debian} (tools/run and tools/test do).")
  endif()
endmacro()

macro(need_program variable debian)
  find_program(${variable} NAMES ${ARGN} HINTS /usr/sbin)
  if(NOT ${variable})
    message(FATAL_ERROR "${ARGN} is missing: install the Debian package ${debian} (tools/run and tools/test do).")
  endif()
endmacro()

need_package(PkgConfig pkg-config)
need_package(Threads libc6-dev)
need_package(fmt libfmt-dev)
need_package(tl-expected libexpected-dev)
need_package(CLI11 libcli11-dev)
need_package(nlohmann_json nlohmann-json3-dev)
need_package(Boost libboost-dev)
need_pkg_config(libbpf "libbpf>=1.1" libbpf-dev)
need_pkg_config(libnl libnl-route-3.0 libnl-route-3-dev)
need_pkg_config(libnftables libnftables libnftables-dev)
need_pkg_config(libcap_ng libcap-ng libcap-ng-dev)
need_pkg_config(prometheus_cpp prometheus-cpp-core prometheus-cpp-dev)
need_pkg_config(libmicrohttpd "libmicrohttpd>=0.9.73" libmicrohttpd-dev)

# The charts of the HTML report; it goes into the binary.
find_file(CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js NO_DEFAULT_PATH)
if(NOT CHART_JS)
  message(FATAL_ERROR "chart.min.js is missing: install the Debian package libjs-chart.js (tools/run and tools/test do).")
endif()

# Any clang from 14 on.
need_program(BPF_CLANG clang clang clang-19 clang-16 clang-14)
need_program(BPFTOOL bpftool bpftool)
need_program(SCDOC scdoc scdoc)
execute_process(COMMAND ${BPF_CLANG} -dumpversion OUTPUT_VARIABLE BPF_CLANG_VERSION OUTPUT_STRIP_TRAILING_WHITESPACE)
if(BPF_CLANG_VERSION VERSION_LESS 14)
  message(FATAL_ERROR "${BPF_CLANG} is version ${BPF_CLANG_VERSION}; the BPF programs need clang 14 or later.")
endif()

if(VETHTRACE_TESTS)
  need_package(GTest libgtest-dev)
  need_package(valijson libvalijson-dev)
  need_package(benchmark libbenchmark-dev)
  need_pkg_config(yaml_cpp yaml-cpp libyaml-cpp-dev)
endif()
