// Small factor models for tests.
#pragma once

#include <numeric>

#include "base/random.h"
#include "models/factorization/als/als_model.h"

namespace sartor {

// Users "u0", "用户1", "u2", ... and items "i0", "商品1", ...; user u has rated items i with (u + i) % 4 == 0.
inline AlsModel made_model(int64_t users, int64_t items, int64_t factors) {
  AlsModel model;
  for (int64_t u = 0; u < users; u++) model.users.insert((u % 2 ? "用户" : "u") + std::to_string(u));
  for (int64_t i = 0; i < items; i++) model.items.insert((i % 2 ? "商品" : "i") + std::to_string(i));
  model.factors = factors;
  model.mean = 3.5;
  model.rating_min = 1;
  model.rating_max = 5;
  const auto normals = [](int64_t count, uint64_t seed) {
    std::vector<float> values(count);
    for (int64_t at = 0; at < count; at++) values[at] = static_cast<float>(random_normal(seed, at));
    return values;
  };
  model.user_factors = normals(users * factors, 1);
  model.item_factors = normals(items * factors, 2);
  model.user_bias = normals(users, 3);
  model.item_bias = normals(items, 4);
  for (int64_t i = 0; i < items; i++) model.item_count.push_back((i * 7) % 13);
  model.seen_offsets = {0};
  for (int64_t u = 0; u < users; u++) {
    for (int64_t i = 0; i < items; i++) {
      if ((u + i) % 4 == 0) {
        model.seen_items.push_back(static_cast<int32_t>(i));
        model.seen_ratings.push_back(static_cast<float>(1 + (u * 3 + i) % 5));
      }
    }
    model.seen_offsets.push_back(std::ssize(model.seen_items));
  }
  model.solver = {.regularization = 0.7f, .bias_regularization = 0.3f, .regularization_power = 0.5f};
  model.data_hash = "0123";
  return model;
}

inline std::vector<int32_t> all_users(const TrainedModel& model) {
  std::vector<int32_t> users(model.users.size());
  std::iota(users.begin(), users.end(), 0);
  return users;
}

inline cuda::IdLists seen_of(const TrainedModel& model) {
  return {model.users.size(), model.seen_offsets.data(), model.seen_items.data()};
}

}  // namespace sartor
