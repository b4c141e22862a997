// Inner loops of svdpp_epoch on the CPU, compiled once per instruction set.
#pragma once

#include "factorization/sgd/svdpp.h"

namespace sartor::cuda {

// A user during a batch.
struct SvdppUser {
  float* z;  // (c)
  float* s;  // (c) times n_u^-1/2
};

struct SvdppKernels {
  // Updates a user. Writes z and s. Returns the sum of the squared errors.
  double (*train_user)(const SvdppTask& task, int64_t user, SvdppUser state);
  // Updates an item of a batch. states: z and s of the users of the batch, one after the other.
  void (*train_item)(const SvdppTask& task, const SvdppVisit* visit, float* states);
};

namespace v3 {
extern const SvdppKernels svdpp_kernels;
}
namespace v4 {
extern const SvdppKernels svdpp_kernels;
}

}  // namespace sartor::cuda
