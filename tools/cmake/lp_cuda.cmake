# The CUDA device layer: compiled wherever nvcc is found, needed nowhere.
function(lp_cuda_device_layer target)
endfunction()
