# bpf_object(NAME SOURCE): compiles SOURCE to NAME.bpf.o and makes its skeleton. The target NAME_bpf carries the
# directory of NAME.skel.h, for #include "NAME.skel.h".

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
  set(BPF_ARCH x86)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(BPF_ARCH arm64)
else()
  message(FATAL_ERROR "kprobes are written for x86-64 and arm64, not for ${CMAKE_SYSTEM_PROCESSOR}")
endif()

# -mcpu=v3: what clang 14 takes by default and 5.10 understands; later compilers go further by default.
# BPF_PROG() makes a parameter of its own that few programs use. The object is embedded as it is, with the names of its
# sources: relative ones, so that it does not tell where it was built.
set(BPF_FLAGS -I${CMAKE_SOURCE_DIR}/bpf -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_${BPF_ARCH} -Wall -Wextra -Werror -Wno-unused-parameter
              -ffile-prefix-map=${CMAKE_SOURCE_DIR}/= -fdebug-compilation-dir=.)

function(bpf_object name source)
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/${source})
  set(directory ${CMAKE_CURRENT_BINARY_DIR}/${name}_bpf)
  set(object ${directory}/${name}.bpf.o)
  set(skeleton ${directory}/${name}.skel.h)
  file(MAKE_DIRECTORY ${directory})
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${BPF_CLANG} ${BPF_FLAGS} -MD -MF ${object}.d -MT ${object} -c ${source} -o ${object}
    DEPENDS ${source}
    DEPFILE ${object}.d
    COMMENT "BPF object ${name}.bpf.o"
    VERBATIM)
  # Renamed when it is whole, so that no half header is ever taken for a finished one.
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND sh -c "\"$1\" gen skeleton \"$2\" name \"$3\" > \"$4.part\" && mv \"$4.part\" \"$4\"" --
            ${BPFTOOL} ${object} ${name}_bpf ${skeleton}
    DEPENDS ${object}
    COMMENT "BPF skeleton ${name}.skel.h"
    VERBATIM)
  add_custom_target(${name}_skeleton DEPENDS ${skeleton})
  add_library(${name}_bpf INTERFACE)
  target_include_directories(${name}_bpf SYSTEM INTERFACE ${directory})
  add_dependencies(${name}_bpf ${name}_skeleton)
endfunction()
