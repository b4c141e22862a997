#include "factorization/ranking/batch_exchange.h"

#include <algorithm>

namespace sartor::cuda {

int64_t BatchExchange::width() const { return (sends_shares_ ? 2 : 1) * task_.items.columns + 2; }

BatchExchange::Slots BatchExchange::slots_of(int64_t rank, int64_t users) const {
  const int64_t ranks = task_.peers ? task_.peers->size() : 1, tiles = (users + tile_ - 1) / tile_;
  return {std::min(tiles * rank / ranks * tile_, users), std::min(tiles * (rank + 1) / ranks * tile_, users)};
}

int64_t BatchExchange::found_by(int64_t slot) const {
  return static_cast<int64_t>(numbers_[(slot + 1) * width() - 1]);  // at most 2^20, which is exact
}

void BatchExchange::run(std::span<const BatchUser> users, std::vector<std::vector<int32_t>>& found) {
  exchange_numbers(users, found);
  exchange_negatives(std::ssize(users), found);
}

void BatchExchange::exchange_numbers(std::span<const BatchUser> users, const std::vector<std::vector<int32_t>>& found) {
  const int64_t f = task_.items.columns, width = this->width(), size = std::ssize(users);
  const auto [begin, end] = own(size);
  numbers_.resize(size * width);
  for (int64_t slot = begin; slot < end; slot++) {
    const BatchUser& user = users[slot];
    float* to = numbers_.data() + slot * width;
    to = std::copy_n(task_.users.row(user.index), f, to);
    if (sends_shares_) to = std::copy_n(user.share, f, to);
    to[0] = task_.user_squares[user.index];
    to[1] = static_cast<float>(found[slot].size());
  }
  std::vector<int64_t> bounds = {0};
  for (int rank = 0; rank < task_.peers->size(); rank++) bounds.push_back(slots_of(rank, size).end * width);
  task_.peers->gather(std::span(numbers_), bounds);
  for (int64_t slot = 0; slot < size; slot++) {
    if (begin <= slot && slot < end) continue;
    const BatchUser& user = users[slot];
    const float* from = numbers_.data() + slot * width;
    std::copy_n(from, f, task_.users.row(user.index));
    from += f;
    if (sends_shares_) {
      std::copy_n(from, f, user.share);
      from += f;
    } else {
      std::transform(user.direction, user.direction + f, user.share, [](float x) { return 0 - x; });
    }
    task_.user_squares[user.index] = from[0];
  }
}

void BatchExchange::exchange_negatives(int64_t users, std::vector<std::vector<int32_t>>& found) {
  std::vector<int64_t> offsets = {0}, bounds = {0};
  for (int64_t slot = 0; slot < users; slot++) offsets.push_back(offsets.back() + found_by(slot));
  for (int rank = 0; rank < task_.peers->size(); rank++) bounds.push_back(offsets[slots_of(rank, users).end]);
  negatives_.resize(offsets.back());
  const auto [begin, end] = own(users);
  for (int64_t slot = begin; slot < end; slot++) std::ranges::copy(found[slot], negatives_.begin() + offsets[slot]);
  task_.peers->gather(std::span(negatives_), bounds);
  for (int64_t slot = 0; slot < users; slot++) {
    if (begin <= slot && slot < end) continue;
    found[slot].assign(negatives_.begin() + offsets[slot], negatives_.begin() + offsets[slot + 1]);
  }
}

}  // namespace sartor::cuda
