// A trained factor model on the host: what factors.h5 holds, and what evaluation and inference read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/views.h"
#include "factorization/als.h"
#include "storage/id_map.h"

namespace sartor {

// rating(u, i) = mean + user_bias_u + item_bias_i + <user_u, item_i>
struct FactorModel {
  datasets::IdMap users{"users"}, items{"items"};  // (U), (I); empty while a model is only judged
  int64_t factors = 0;                             // f; 0 for a model of biases alone
  bool biases = true;                              // false: both are 0 and stay so when users are folded in
  double mean = 0;
  double rating_min = 0, rating_max = 0;          // of the data; predictions are clipped to them
  std::vector<float> user_factors, item_factors;  // (U, f), (I, f)
  std::vector<float> user_bias, item_bias;        // (U), (I)
  std::vector<int64_t> item_count;                // (I) training interactions: the popularity
  std::vector<int64_t> seen_offsets;              // (U + 1) into seen_items
  std::vector<int32_t> seen_items;                // what each user has rated already, ascending
  std::vector<float> seen_ratings;                // of seen_items; empty where the file was written without them
  double popularity_weight = 0;                   // how items are ranked: see FactorRanker
  cuda::AlsParams solver;                         // how a new user is folded in
  std::string data_hash;

  cuda::Rows<const float> user_rows() const { return {user_factors.data(), std::ssize(user_bias), factors}; }
  cuda::Rows<const float> item_rows() const { return {item_factors.data(), std::ssize(item_bias), factors}; }
  cuda::IdLists seen() const { return {std::ssize(user_bias), seen_offsets.data(), seen_items.data()}; }
  double rating(int64_t user, int64_t item) const;  // clipped

  // Writes FOLDER/factors.h5.
  void save(const std::filesystem::path& folder) const;
};

// Reads a factors.h5, or that of a run folder. Throws std::invalid_argument that names the file and what is wrong with
// it: another schema, sizes that do not fit together, indices out of range, values that are not finite.
FactorModel load_factor_model(const std::filesystem::path& path_or_run);

}  // namespace sartor
