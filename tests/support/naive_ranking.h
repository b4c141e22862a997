// Reference implementations of bpr_epoch and contrastive_epoch: double loops in double precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "factorization/ranking/bpr.h"
#include "factorization/ranking/contrastive.h"
#include "factorization/ranking/draws.h"
#include "factorization/ranking/pair_grid.h"
#include "support/random.h"

namespace sartor {

using Doubles = std::vector<std::vector<double>>;

inline Doubles doubles(const Matrix& matrix) {
  Doubles rows;
  for (int64_t row = 0; row < matrix.rows; row++) rows.emplace_back(matrix.row(row), matrix.row(row) + matrix.columns);
  return rows;
}

inline double dot_of(const std::vector<double>& x, const std::vector<double>& y) {
  double sum = 0;
  for (size_t at = 0; at < x.size(); at++) sum += x[at] * y[at];
  return sum;
}

inline bool chooses(const RandomLists& chosen, int64_t user, int32_t item) {
  return std::find(chosen.ids.begin() + chosen.offsets[user], chosen.ids.begin() + chosen.offsets[user + 1], item) !=
         chosen.ids.begin() + chosen.offsets[user + 1];
}

struct NaiveBpr {
  Doubles users, items;
  std::vector<double> bias;

  void train(const RandomLists& chosen, const cuda::PairGrid& grid, uint64_t seed, const cuda::BprParams& params) {
    for (int64_t diagonal = 0; diagonal < grid.blocks; diagonal++) {
      for (int64_t row = 0; row < grid.blocks; row++) {
        const int64_t column = (row + diagonal) % grid.blocks, cell = row * grid.blocks + column;
        const int64_t size = grid.cells[cell + 1] - grid.cells[cell];
        // Negatives of eight pairs are drawn before the first of them is trained.
        const int64_t together = std::min<int64_t>(8, cuda::most_bpr_candidates / params.candidates);
        cuda::Draws draws(seed, cell);
        for (int64_t first = 0; first < size; first += together) {
          std::vector<std::vector<int32_t>> drawn;
          const int64_t last = std::min(size, first + together);
          for (int64_t pair = first; pair < last; pair++) {
            drawn.push_back(candidates(chosen, grid, column, grid.users[grid.cells[cell] + pair], draws, params));
          }
          for (int64_t pair = first; pair < last; pair++) {
            const int64_t at = grid.cells[cell] + pair;
            step(grid.users[at], grid.items[at], drawn[pair - first], params);
          }
        }
      }
    }
  }

 private:
  static std::vector<int32_t> candidates(const RandomLists& chosen, const cuda::PairGrid& grid, int64_t column,
                                         int32_t user, cuda::Draws& draws, const cuda::BprParams& params) {
    const int64_t first = grid.item_bounds[column], size = grid.item_bounds[column + 1] - first;
    std::vector<int32_t> found;
    for (int64_t candidate = 0; candidate < params.candidates; candidate++) {
      for (int attempt = 0; attempt < 16; attempt++) {
        const int32_t item = grid.item_order[first + draws.below(size)];
        if (chooses(chosen, user, item)) continue;
        found.push_back(item);
        break;
      }
    }
    return found;
  }

  void step(int32_t u, int32_t i, const std::vector<int32_t>& drawn, const cuda::BprParams& params) {
    if (drawn.empty()) return;
    const auto score = [&](int32_t item) { return bias[item] + dot_of(users[u], items[item]); };
    const int32_t j =
        *std::max_element(drawn.begin(), drawn.end(), [&](int32_t a, int32_t b) { return score(a) < score(b); });
    const double rate = params.learning_rate, lambda = params.regularization,
                 slope = 1 / (1 + std::exp(score(i) - score(j)));
    const auto x = users[u], y = items[i], z = items[j];
    for (size_t f = 0; f < x.size(); f++) {
      users[u][f] += rate * (slope * (y[f] - z[f]) - lambda * x[f]);
      items[i][f] += rate * (slope * x[f] - lambda * y[f]);
      items[j][f] += rate * (-slope * x[f] - lambda * z[f]);
    }
    bias[i] += rate * (slope - lambda * bias[i]);
    bias[j] += rate * (-slope - lambda * bias[j]);
  }
};

// Gradients are central differences of the loss.
struct NaiveContrastive {
  Doubles users, items;
  std::vector<double> user_squares, item_squares;

  void train(const RandomLists& chosen, uint64_t seed, const cuda::ContrastiveParams& params) {
    std::vector<int32_t> order;
    for (int32_t user = 0; user < std::ssize(users); user++) {
      if (chosen.offsets[user] < chosen.offsets[user + 1]) order.push_back(user);
    }
    cuda::Draws draws(seed, 0);
    for (int64_t last = std::ssize(order) - 1; last > 0; last--) std::swap(order[last], order[draws.below(last + 1)]);
    for (int64_t first = 0, batch = 1; first < std::ssize(order); first += params.batch, batch++) {
      cuda::Draws of_batch(seed, batch);
      std::vector<int32_t> negatives(params.negatives);
      for (int32_t& negative : negatives) negative = static_cast<int32_t>(of_batch.below(std::ssize(items)));
      const auto end = std::min<int64_t>(first + params.batch, std::ssize(order));
      step(chosen, {order.begin() + first, order.begin() + end}, negatives, params);
    }
  }

  std::vector<double> vector_of(const RandomLists& chosen, int32_t user, double history_weight) const {
    const int64_t n = chosen.offsets[user + 1] - chosen.offsets[user];
    std::vector<double> sum(users[user].size());
    for (size_t f = 0; f < sum.size(); f++) {
      sum[f] = (1 - history_weight) * users[user][f];
      for (int64_t at = chosen.offsets[user]; at < chosen.offsets[user + 1]; at++) {
        sum[f] += history_weight / static_cast<double>(n) * items[chosen.ids[at]][f];
      }
    }
    const double length = std::sqrt(dot_of(sum, sum));
    for (double& value : sum) value /= length;
    return sum;
  }

 private:
  double loss(const RandomLists& chosen, const std::vector<int32_t>& batch, const std::vector<int32_t>& negatives,
              const cuda::ContrastiveParams& params) const {
    double sum = 0;
    for (const int32_t user : batch) {
      const auto x = vector_of(chosen, user, params.history_weight);
      const int64_t n = chosen.offsets[user + 1] - chosen.offsets[user];
      for (int64_t at = chosen.offsets[user]; at < chosen.offsets[user + 1]; at++) {
        sum += 1 - dot_of(x, items[chosen.ids[at]]);
      }
      const double weight = static_cast<double>(n) * params.negative_weight / static_cast<double>(params.negatives);
      for (const int32_t negative : negatives) {
        if (chooses(chosen, user, negative)) continue;
        sum += weight * std::max(0.0, dot_of(x, items[negative]) - static_cast<double>(params.margin));
      }
    }
    return sum;
  }

  void step(const RandomLists& chosen, const std::vector<int32_t>& batch, const std::vector<int32_t>& negatives,
            const cuda::ContrastiveParams& params) {
    const auto gradient_of = [&](std::vector<double>& row) {
      std::vector<double> gradient;
      for (double& value : row) {
        constexpr double small = 1e-6;
        const double before = value;
        value = before + small;
        const double above = loss(chosen, batch, negatives, params);
        value = before - small;
        gradient.push_back((above - loss(chosen, batch, negatives, params)) / (2 * small));
        value = before;
      }
      return gradient;
    };
    std::set<int32_t> touched(negatives.begin(), negatives.end());
    for (const int32_t user : batch) {
      touched.insert(chosen.ids.begin() + chosen.offsets[user], chosen.ids.begin() + chosen.offsets[user + 1]);
    }
    std::map<int32_t, std::vector<double>> of_users, of_items;
    for (const int32_t user : batch) of_users[user] = gradient_of(users[user]);
    for (const int32_t item : touched) of_items[item] = gradient_of(items[item]);
    for (auto& [user, gradient] : of_users) move(gradient, params.learning_rate, users[user], user_squares[user]);
    for (auto& [item, gradient] : of_items) move(gradient, params.learning_rate, items[item], item_squares[item]);
  }

  static void move(std::vector<double>& gradient, double rate, std::vector<double>& row, double& squares) {
    const double along = dot_of(gradient, row);
    for (size_t f = 0; f < row.size(); f++) gradient[f] -= along * row[f];
    squares += dot_of(gradient, gradient);
    if (squares < 1e-15) return;  // rounding of the differences
    for (size_t f = 0; f < row.size(); f++) row[f] -= rate / std::sqrt(squares) * gradient[f];
    const double length = std::sqrt(dot_of(row, row));
    for (double& value : row) value /= length;
  }
};

}  // namespace sartor
