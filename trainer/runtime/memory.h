// How this process takes memory, and how much it has taken at most.
#pragma once

namespace sartor {

// Memory that is freed stays with the process. libtorch frees and takes the same large tensors at every step; by
// default the system gets each back and clears it before it gives it again: a sixth of a step of MiniLM.
void keep_freed_memory();

// Resident pages, in MiB, since the program began; 0 where the system doesn't say.
double peak_resident_mib();

// Of libtorch's allocator on a GPU, in MiB; 0 for the CPU (-1).
double peak_gpu_mib(int gpu);

}  // namespace sartor
