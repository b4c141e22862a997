// Inner loops of contrastive_epoch on the CPU, compiled once per instruction set.
#pragma once

#include "factorization/ranking/contrastive.h"

namespace sartor::cuda {

// A user in a batch. The vectors have f elements.
struct BatchUser {
  int64_t index;
  float* direction;  // x
  float* sum;        // of her items
  float* share;      // gradient with respect to each of her items
  float length;      // |p|
};

// Part of the gradient with respect to an item.
struct ItemGradient {
  float weight;
  const float* vector;  // (f)
};

struct ContrastiveKernels {
  // Computes sum, direction and length.
  void (*represent)(const ContrastiveUsersTask& task, BatchUser& user);
  // Writes the places of the scores above the margin, and returns their number.
  int64_t (*find_above)(const float* scores, int64_t count, float margin, int32_t* found);
  // Updates the user's row for negatives (items), each with weight n_u w / N, and computes the share. `gradient` (f) is
  // scratch memory.
  void (*update_user)(const ContrastiveTask& task, const BatchUser& user, const int32_t* negatives, int64_t count,
                      float* gradient);
  void (*update_item)(const ContrastiveTask& task, int32_t item, const ItemGradient* parts, int64_t count,
                      float* gradient);
};

namespace v3 {
extern const ContrastiveKernels contrastive_kernels;
}
namespace v4 {
extern const ContrastiveKernels contrastive_kernels;
}

}  // namespace sartor::cuda
