#include "factorization/implicit/implicit.cuh"

namespace sartor::cuda {

void implicit_update_gpu(Context& context, const ImplicitTask& task) {
  mirror_gpu(context, task.gram, task.fixed.columns);
  if (task.params.solver == ImplicitSolver::cg) {
    update_by_gradients_gpu(context, task);
  } else {
    update_by_blocks_gpu(context, task);
  }
}

}  // namespace sartor::cuda
