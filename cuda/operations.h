// The table of operations: one entry each, filled in for the CPU by operations_cpu.cpp and for a GPU by
// operations_gpu.cu.
#pragma once

namespace sartor::cuda {

class Context;
struct AlsTask;
struct TopkTask;

// The public function of the same name checks the task, then calls the entry of the context's device.
struct Operations {
  void (*topk)(Context&, const TopkTask&);
  void (*als_update)(Context&, const AlsTask&);
};

}  // namespace sartor::cuda
