#include "models/factorization/row_shares.h"

#include <algorithm>
#include <future>
#include <memory>

#include "base/random.h"
#include "core/copies.h"

namespace sartor {

std::function<double(int64_t)> als_cost(int64_t factors) {
  return [factors](int64_t ratings) {
    const auto [least, most] = std::minmax({static_cast<double>(ratings), static_cast<double>(factors)});
    return least * least * (most / 2 + least / 6) + most;
  };
}

namespace {

std::vector<Part> times(std::span<const Part> rows, int64_t width) {
  std::vector<Part> elements;
  for (const Part& part : rows) elements.push_back({part.begin * width, part.end * width});
  return elements;
}

// Gathers rows of all ranks while the device computes others. Those of a GPU pass through the host.
class Gathering {
 public:
  Gathering(Collective& ranks, cuda::Context& context)
      : ranks_(ranks), gpu_(context.is_gpu()), copies_(cuda::make_copies(context)) {}

  // What was computed so far is gathered; what is computed from now on may run beside that.
  void start(std::vector<SharedRows> arrays, std::vector<Part> rows) {
    finish();
    copies_->hold_copies();
    running_ = std::async(ranks_.gathers_aside() ? std::launch::async : std::launch::deferred, [=, this] {
      for (const auto& [values, width] : arrays) gather(*values, times(rows, width));
    });
  }
  // What is computed from now on has all rows.
  void finish() {
    if (running_.valid()) running_.get();
    copies_->hold_operations();
  }

 private:
  void gather(cuda::DeviceBuffer<float>& values, const std::vector<Part>& parts) {
    if (values.size() == 0) return;
    if (gpu_) return gather_through_host(values, parts);
    ranks_.gather({values.data(), static_cast<size_t>(values.size())}, parts);
  }

  void gather_through_host(cuda::DeviceBuffer<float>& values, const std::vector<Part>& parts) {
    constexpr int64_t most = 1 << 22;  // elements per rank at a time
    int64_t longest = 0;
    for (const Part& part : parts) longest = std::max(longest, part.size());
    if (longest == 0) return;
    const auto allocated = std::min(longest, most) * ranks_.size() * int64_t{sizeof(float)};
    const auto release = [&](float* memory) { copies_->release_host(memory); };
    const std::unique_ptr<float, decltype(release)> piece(static_cast<float*>(copies_->allocate_host(allocated)),
                                                          release);
    for (int64_t at = 0; at < longest; at += most) {
      std::vector<Part> here;
      for (int64_t begin = 0; const Part& part : parts) {
        here.push_back({begin, begin + std::clamp<int64_t>(part.size() - at, 0, most)});
        begin = here.back().end;
      }
      const auto bytes = [&](int rank) { return here[rank].size() * sizeof(float); };
      const auto on_device = [&](int rank) { return values.data() + parts[rank].begin + at; };
      const int own = ranks_.rank();
      copies_->start_out(piece.get() + here[own].begin, on_device(own), bytes(own));
      copies_->wait();
      ranks_.gather({piece.get(), static_cast<size_t>(here.back().end)}, here);
      for (int rank = 0; rank < ranks_.size(); rank++) {
        if (rank != own) copies_->start(on_device(rank), piece.get() + here[rank].begin, bytes(rank));
      }
      copies_->wait();
    }
  }

  Collective& ranks_;
  bool gpu_;
  std::unique_ptr<cuda::Copies> copies_;
  std::future<void> running_;
};

}  // namespace

std::vector<int64_t> row_shares(std::span<const int64_t> offsets, int64_t factors, int ranks) {
  return row_shares(offsets, als_cost(factors), ranks);
}

std::vector<int64_t> row_shares(std::span<const int64_t> offsets, const std::function<double(int64_t)>& cost,
                                int ranks) {
  std::vector<double> costs;
  for (size_t row = 0; ranks > 1 && row + 1 < offsets.size(); row++) {
    costs.push_back(cost(offsets[row + 1] - offsets[row]));
  }
  return ranks > 1 ? row_shares(costs, ranks) : std::vector{int64_t{0}, std::ssize(offsets) - 1};
}

std::vector<int64_t> row_shares(std::span<const double> costs, int ranks) {
  const int64_t rows = std::ssize(costs);
  if (ranks == 1) return {0, rows};
  std::vector<double> before = {0};  // cost of the rows before each row
  for (const double cost : costs) before.push_back(before.back() + cost);
  std::vector<int64_t> bounds;
  for (int rank = 0; rank < ranks; rank++) {
    bounds.push_back(std::ranges::lower_bound(before, before.back() * rank / ranks) - before.begin());
  }
  bounds.push_back(rows);
  return bounds;
}

SharePieces::SharePieces(std::span<const int64_t> offsets, const std::function<double(int64_t)>& cost,
                         const Collective& ranks)
    : rank_(ranks.rank()),
      ranks_(ranks.size()),
      pieces_(ranks.size() == 1 ? 1 : 4),
      bounds_(row_shares(offsets, cost, static_cast<int>(ranks_ * pieces_))) {}

std::vector<int64_t> SharePieces::bounds() const {
  std::vector<int64_t> own = {0};
  for (int64_t piece = 0; piece < pieces_; piece++) own.push_back(of(rank_, piece, 1).end - share().begin);
  return own;
}

std::vector<Part> SharePieces::of_ranks(int64_t piece) const {
  std::vector<Part> parts;
  for (int64_t rank = 0; rank < ranks_; rank++) parts.push_back(of(rank, piece, 1));
  return parts;
}

FactorSide::FactorSide(cuda::Context& context, SharePieces shares, RatingBlocks own, int64_t width)
    : width(width), pieces(std::move(shares)), ratings(std::move(own)), factors(context, pieces.rows() * width) {
  factors.fill_zero();
}

void solve_share(Collective& ranks, cuda::Context& context, const SharePieces& pieces, RatingBlocks& ratings,
                 std::vector<SharedRows> arrays,
                 const std::function<void(int64_t first, const cuda::Csr<const float>& ratings)>& solve) {
  if (ranks.size() == 1) return ratings.each(0, solve);
  Gathering gathering(ranks, context);
  for (int64_t piece = 0; piece < pieces.count(); piece++) {
    ratings.each(piece, solve);
    gathering.start(arrays, pieces.of_ranks(piece));
  }
  gathering.finish();
}

std::vector<int64_t> offsets_of_rows(std::span<const int64_t> offsets, Part rows) {
  std::vector<int64_t> own;
  for (int64_t row = rows.begin; row <= rows.end; row++) own.push_back(offsets[row] - offsets[rows.begin]);
  return own;
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

void gather_rows(Collective& ranks, cuda::Context& context, std::span<const int64_t> bounds, int64_t width,
                 cuda::DeviceBuffer<float>& values) {
  if (ranks.size() == 1 || values.size() == 0) return;
  std::vector<Part> rows;
  for (int rank = 0; rank < ranks.size(); rank++) rows.push_back({bounds[rank], bounds[rank + 1]});
  Gathering gathering(ranks, context);
  gathering.start({{&values, width}}, std::move(rows));
  gathering.finish();
}

}  // namespace sartor
