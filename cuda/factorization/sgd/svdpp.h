// SVD++ (Koren 2008): matrix factorization whose users are also described by which items they rated.
#pragma once

#include "factorization/sgd/sgd.h"

namespace sartor::cuda {

// A rating of an item by a user of a batch.
struct SvdppEntry {
  int32_t place;  // of the user in the batch
  float value;    // minus the global mean
};

// An item that users of a batch rated, with its ratings: `entries` from `first` to that of the next visit.
struct SvdppVisit {
  int64_t first;
  int32_t item;
};

// Users in the order of an epoch, divided into batches of batch_users (the last may have fewer), and the ratings of
// each batch by item.
struct SvdppBatches {
  const int32_t* users = nullptr;  // (count) distinct users with ratings
  int64_t count = 0;
  int64_t batch_users = 1;
  const int64_t* offsets = nullptr;     // (batches + 1) of their visits
  const SvdppVisit* visits = nullptr;   // and one more at the end
  const SvdppEntry* entries = nullptr;  // users in the order of the batch
};

// Arguments of svdpp_epoch. All arrays are in the context's memory.
struct SvdppTask {
  Csr<const float> ratings;  // (U, I) minus the global mean
  SvdppBatches batches;
  SgdSide users, items;             // without squares
  Rows<float> implicit;             // (I, c) y; columns 0 and 1 are 0
  SgdParams params;                 // deterministic is ignored: the result never depends on the threads
  double* squared_error = nullptr;  // on the host: sum of the squared errors of the ratings, each before its update
};

// One pass over the ratings. In the notation of sgd_rounds, with
//
//   z_u = x_u + n_u^-1/2 sum over the n_u rated items j of y_j      e = value - <z_u, q_i>
//
// each batch first updates its users, one rating after the other in the order of `ratings`, for fixed items, and then
// its items, one rating after the other in the order of `batches`, for fixed users:
//
//   x_u += eta rho (e q_i - w_u lambda x_u)        s_u = sum of e q_i over the user's ratings
//   q_i += eta rho (e z_u - w_i lambda q_i)        y_i += eta (n_u^-1/2 s_u - w_i lambda y_i)
//
// with eta = learning_rate. The smaller the batches, the closer this is to updating everything after each rating.
// Scratch memory: 2 c floats per user of a batch. Runs on CPUs only. Throws std::invalid_argument if the context is on
// a GPU or shapes do not fit.
void svdpp_epoch(Context& context, const SvdppTask& task);

}  // namespace sartor::cuda
