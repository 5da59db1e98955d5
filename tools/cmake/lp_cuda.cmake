# What runs on NVIDIA GPUs, in three parts, none of them needed by anything: the device layer (what
# GPUs there are), wherever the CUDA runtime is found; our own kernels, wherever nvcc is found too;
# and what of libtorch is for GPUs alone, where moreover this libtorch has it.

# At file scope, before the first target.
macro(lp_cuda_find)
  if(LP_CUDA STREQUAL "ON")
    find_package(CUDAToolkit REQUIRED)
    enable_language(CUDA)
  elseif(LP_CUDA STREQUAL "AUTO")
    find_package(CUDAToolkit QUIET)
    include(CheckLanguage)
    check_language(CUDA)
    if(TARGET CUDA::cudart_static AND CMAKE_CUDA_COMPILER)
      enable_language(CUDA)
    endif()
  elseif(NOT LP_CUDA STREQUAL "OFF")
    message(FATAL_ERROR "LP_CUDA is \"${LP_CUDA}\": expected AUTO, ON or OFF")
  endif()
  set(LP_CUDA_ARCHITECTURES "all-major" CACHE STRING "GPUs that our kernels are compiled for")
endmacro()

# lp_cuda_kernels: a library of objects without torch.
function(lp_cuda_kernels)
  if(LP_CUDA STREQUAL "OFF" OR NOT CMAKE_CUDA_COMPILER OR NOT TARGET CUDA::cudart_static)
    return()
  endif()
  lp_sources(kernels engine/cuda/kernels/*.cu)
  add_library(lp_cuda_kernels OBJECT ${kernels})
  # Our folders' options are the host compiler's: nvcc does not know them.
  set_target_properties(lp_cuda_kernels PROPERTIES
    COMPILE_OPTIONS "" CUDA_STANDARD 17 CUDA_ARCHITECTURES "${LP_CUDA_ARCHITECTURES}")
endfunction()

function(lp_cuda_device_layer target)
  set(folder ${CMAKE_SOURCE_DIR}/pipelines/engine/cuda)
  set(have "none")
  set(runtime without_cuda)
  set(torch without_cuda)
  if(NOT LP_CUDA STREQUAL "OFF" AND TARGET CUDA::cudart_static)
    set(have "CUDA ${CUDAToolkit_VERSION}")
    set(runtime with_cuda)
    # Static, so that what is built here also starts on machines without a driver. libtorch brings
    # the runtime as a shared library, and a process should have one.
    set(cudart CUDA::cudart_static)
    if(TARGET lp_cuda_kernels)
      string(APPEND have ", kernels")
      target_link_libraries(${target} PRIVATE lp_cuda_kernels)
      if(TARGET torch_cuda)
        string(APPEND have ", libtorch")
        set(torch "with_*")
        set(cudart CUDA::cudart)
        set_target_properties(${target} PROPERTIES CUDA_RUNTIME_LIBRARY Shared)
      endif()
    endif()
    target_link_libraries(${target} PRIVATE ${cudart})
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/runtime/${runtime}.cpp ${folder}/torch/${torch}.cpp)
  target_sources(${target} PRIVATE ${sources})
  message(STATUS "CUDA device layer: ${have}")
endfunction()
