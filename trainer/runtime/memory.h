// How this process takes memory, and how much it has taken at most.
#pragma once

namespace sartor {

// Memory that is freed stays with the process, and libtorch's CPU tensors find it again. They are freed and taken at
// every step; by default the system gets each back and clears it before it gives it again: a sixth of a step of MiniLM.
// And posix_memalign(), which libtorch calls, fits no block into the gap that the same block left (measured of glibc
// 2.36): a training's memory grew from 1.2 to 5.3 GiB in 1,200 steps.
void keep_freed_memory();

// Resident pages, in MiB, since the program began; 0 where the system doesn't say.
double peak_resident_mib();

// Of libtorch's allocator on a GPU, in MiB; 0 for the CPU (-1).
double peak_gpu_mib(int gpu);

}  // namespace sartor
