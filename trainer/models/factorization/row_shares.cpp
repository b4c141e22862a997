#include "models/factorization/row_shares.h"

#include <algorithm>

#include "base/random.h"

namespace sartor {
namespace {

double als_cost(int64_t ratings, int64_t factors) {
  const auto [least, most] = std::minmax({static_cast<double>(ratings), static_cast<double>(factors)});
  return least * least * (most / 2 + least / 6) + most;
}

void gather_through_host(Collective& ranks, std::span<const int64_t> parts, cuda::DeviceBuffer<float>& values) {
  constexpr int64_t most = 1 << 22;  // elements per rank at a time
  int64_t longest = 0;
  for (int rank = 0; rank < ranks.size(); rank++) longest = std::max(longest, parts[rank + 1] - parts[rank]);
  std::vector<float> piece;
  for (int64_t at = 0; at < longest; at += most) {
    std::vector<int64_t> offsets = {0};
    for (int rank = 0; rank < ranks.size(); rank++) {
      offsets.push_back(offsets.back() + std::clamp<int64_t>(parts[rank + 1] - parts[rank] - at, 0, most));
    }
    piece.resize(offsets.back());
    const auto of = [&](int rank) {
      return std::span(piece).subspan(offsets[rank], offsets[rank + 1] - offsets[rank]);
    };
    if (const auto own = of(ranks.rank()); !own.empty()) values.read(own, parts[ranks.rank()] + at);
    ranks.gather(piece, offsets);
    for (int rank = 0; rank < ranks.size(); rank++) {
      if (rank != ranks.rank() && !of(rank).empty()) values.write(of(rank), parts[rank] + at);
    }
  }
}

}  // namespace

std::vector<int64_t> row_shares(std::span<const int64_t> offsets, int64_t factors, int ranks) {
  return row_shares(
      offsets, [&](int64_t ratings) { return als_cost(ratings, factors); }, ranks);
}

std::vector<int64_t> row_shares(std::span<const int64_t> offsets, const std::function<double(int64_t)>& cost,
                                int ranks) {
  const int64_t rows = std::ssize(offsets) - 1;
  if (ranks == 1) return {0, rows};
  std::vector<double> before = {0};  // cost of the rows before each row
  for (int64_t row = 0; row < rows; row++) {
    before.push_back(before.back() + cost(offsets[row + 1] - offsets[row]));
  }
  std::vector<int64_t> bounds;
  for (int rank = 0; rank < ranks; rank++) {
    bounds.push_back(std::ranges::lower_bound(before, before.back() * rank / ranks) - before.begin());
  }
  bounds.push_back(rows);
  return bounds;
}

FactorSide::FactorSide(cuda::Context& context, std::vector<int64_t> shares, int rank, std::span<const int64_t> own,
                       int64_t width)
    : rows(shares.back()),
      width(width),
      bounds(std::move(shares)),
      first(bounds[rank]),
      offsets(context, own),
      columns(context, own.back()),
      values(context, own.back()),
      factors(context, rows * width) {
  factors.fill_zero();
}

void fill_normal(cuda::DeviceBuffer<float>& factors, float standard_deviation, int64_t seed) {
  constexpr int64_t chunk = 1 << 20;
  std::vector<float> values;
  for (int64_t first = 0; first < factors.size(); first += chunk) {
    values.resize(std::min(chunk, factors.size() - first));
    for (size_t at = 0; at < values.size(); at++) {
      values[at] = standard_deviation * static_cast<float>(random_normal(seed, first + at));
    }
    factors.write(values, first);
  }
}

void gather_rows(Collective& ranks, const cuda::Context& context, std::span<const int64_t> bounds, int64_t width,
                 cuda::DeviceBuffer<float>& values) {
  if (ranks.size() == 1 || values.size() == 0) return;
  std::vector<int64_t> parts(bounds.begin(), bounds.end());
  for (int64_t& bound : parts) bound *= width;
  if (context.is_gpu()) return gather_through_host(ranks, parts, values);
  ranks.gather({values.data(), static_cast<size_t>(values.size())}, parts);
}

}  // namespace sartor
