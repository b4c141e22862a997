// How much memory this process has taken at most.
#pragma once

namespace sartor {

// Resident pages, in MiB, since the program began; 0 where the system doesn't say.
double peak_resident_mib();

// Of libtorch's allocator on a GPU, in MiB; 0 for the CPU (-1).
double peak_gpu_mib(int gpu);

}  // namespace sartor
