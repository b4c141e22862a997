// Matrix factorization by the cosine contrastive loss (Mao et al. 2021, SimpleX): one epoch.
#pragma once

#include "core/context.h"
#include "core/peers.h"
#include "core/views.h"

namespace sartor::cuda {

struct ContrastiveParams {
  float learning_rate = 1;      // > 0, in radians of a row's first step
  float margin = 0.8f;          // -1 to 1
  float negative_weight = 150;  // w, >= 0
  int64_t negatives = 2048;     // N, 1 to 2^20, which a batch of users shares
  int64_t batch = 64;           // users, 1 to 2^20
  float history_weight = 0;     // h, 0 to 1
};

// Arguments of contrastive_epoch. All arrays are in the context's memory.
struct ContrastiveTask {
  IdLists chosen;       // (U) items that each user has chosen
  Rows<float> users;    // (U, f) e; unit vectors
  Rows<float> items;    // (I, f) v; unit vectors
  float* user_squares;  // (U) squared lengths of all gradients so far
  float* item_squares;  // (I)
  uint64_t seed;        // of the order of users and of the negatives
  ContrastiveParams params;
  Peers* peers = nullptr;  // each computes a part of the users of a batch; null: this process alone
};

// Batches of users, each with all of her items, take steps down the gradient of
//
//   sum over items i of u: (1 - <x_u, v_i>) + n_u w / N  sum over negatives j: max(0, <x_u, v_j> - margin)
//
//   x_u = p / |p|,     p = (1 - h) e_u + h / n_u  sum over items i of u: v_i,     n_u = number of the user's items
//
// The N negatives of a batch are drawn uniformly from all items; for a user, those that she has chosen do not count.
// The part of the gradient along a row does not change its direction and is dropped; the row moves by learning_rate /
// sqrt(sum of the squared lengths of its gradients) (AdaGrad, Duchi et al. 2011, one rate per row) and is scaled to
// length 1 again. Users without items do not change.
//
// The result does not depend on the number of threads and peers. Memory of its own: about 4 N (f + batch) bytes, and on
// a GPU 4 f bytes for each item that gets a gradient from a batch. Throws std::invalid_argument if numbers of factors
// or rows differ, or a parameter is out of range.
void contrastive_epoch(Context& context, const ContrastiveTask& task);

// Arguments of contrastive_users. All arrays are in the context's memory.
struct ContrastiveUsersTask {
  IdLists chosen;
  Rows<const float> users;  // (U, f) e; or null, for users without vectors of their own: p is the sum of their items
  Rows<const float> items;  // (I, f) v
  float history_weight;     // h
  Rows<float> vectors;      // (U, f) x; 0 for users without items
};

// Computes the vectors x_u by which users rank items.
void contrastive_users(Context& context, const ContrastiveUsersTask& task);

}  // namespace sartor::cuda
