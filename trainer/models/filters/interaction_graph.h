// The bipartite graph of users and items in training, with normalized weights.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/views.h"

namespace sartor {

// A sparse matrix that owns its arrays; laid out as cuda::Csr.
struct SparseMatrix {
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> columns;
  std::vector<float> values;

  int64_t rows() const { return std::ssize(offsets) - 1; }
  cuda::Csr<const float> view() const { return {rows(), offsets.data(), columns.data(), values.data()}; }
};

// R (U, I) with elements n_u^-user_power n_i^-item_power for the items i of each user u, where n counts the entries of
// the row or column; and its transpose.
struct InteractionGraph {
  SparseMatrix by_user, by_item;
  std::vector<int64_t> user_count, item_count;
};

// offsets (U + 1), items: ascending within a user, as in TrainedModel.
InteractionGraph interaction_graph(std::span<const int64_t> offsets, std::span<const int32_t> items,
                                   int64_t item_number, double user_power, double item_power);

// n^power for each count n, and 0 for 0.
std::vector<float> powers(const std::vector<int64_t>& counts, double power);

}  // namespace sartor
