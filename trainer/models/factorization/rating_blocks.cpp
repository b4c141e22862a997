#include "models/factorization/rating_blocks.h"

#include <algorithm>
#include <limits>

namespace sartor {
namespace {

constexpr int64_t entry_bytes = sizeof(int32_t) + sizeof(float), row_bytes = sizeof(int64_t);

// Of rows `begin` to `end` - 1.
int64_t bytes_of(std::span<const int64_t> offsets, int64_t begin, int64_t end) {
  return (offsets[end] - offsets[begin]) * entry_bytes + (end - begin + 1) * row_bytes;
}

}  // namespace

int64_t RatingBlocks::whole_bytes(std::span<const int64_t> offsets) {
  return bytes_of(offsets, 0, std::ssize(offsets) - 1);
}

int64_t RatingBlocks::least_bytes(std::span<const int64_t> offsets) {
  int64_t most = row_bytes;
  for (int64_t row = 1; row < std::ssize(offsets); row++) most = std::max(most, bytes_of(offsets, row - 1, row));
  return std::min(2 * most, whole_bytes(offsets));
}

RatingBlocks::RatingBlocks(cuda::Context& context, std::vector<int64_t> offsets, std::span<const int64_t> pieces,
                           int64_t memory, Read again, std::unique_ptr<cuda::Copies> copies)
    : offsets_(std::move(offsets)),
      again_(std::move(again)),
      copies_(copies ? std::move(copies) : cuda::make_copies(context)) {
  streams_ = rows() > 1 && whole_bytes(offsets_) > memory;
  const int64_t most = streams_ ? memory / 2 : std::numeric_limits<int64_t>::max();
  for (size_t piece = 0; piece + 1 < pieces.size(); piece++) {
    pieces_.push_back(std::ssize(bounds_));
    for (int64_t row = pieces[piece]; row < pieces[piece + 1]; row++) {
      if (row == pieces[piece] || bytes_of(offsets_, bounds_.back(), row + 1) > most) bounds_.push_back(row);
    }
  }
  pieces_.push_back(std::ssize(bounds_));
  bounds_.push_back(rows());
  make_slots(context);
  fill_offsets();
  if (!streams_ || !context.is_gpu()) return;
  columns_ = host_array<int32_t>(size());
  values_ = host_array<float>(size());
}

void RatingBlocks::fill_offsets() {
  block_offsets_ = host_array<int64_t>(rows() + blocks());
  for (int64_t block = 0; block < blocks(); block++) {
    const auto own = offsets_of(block);
    for (size_t row = 0; row < own.size(); row++) own[row] = offsets_[bounds_[block] + row] - offsets_[bounds_[block]];
  }
  if (streams_) return;
  slots_[0].offsets.write({block_offsets_.get(), static_cast<size_t>(rows() + blocks())});
  block_offsets_.reset();
}

RatingBlocks::~RatingBlocks() {
  if (reading_.valid()) reading_.wait();
}

template <class T> RatingBlocks::HostArray<T> RatingBlocks::host_array(int64_t size) {
  return {static_cast<T*>(copies_->allocate_host(size * sizeof(T))), Release{copies_.get()}};
}

void RatingBlocks::make_slots(cuda::Context& context) {
  if (!streams_) return slots_.push_back({{context, rows() + blocks()}, {context, size()}, {context, size()}});
  int64_t most_rows = 0, most_entries = 0;
  for (int64_t block = 0; block < blocks(); block++) {
    const int64_t begin = bounds_[block], end = bounds_[block + 1];
    most_rows = std::max(most_rows, end - begin);
    most_entries = std::max(most_entries, offsets_[end] - offsets_[begin]);
  }
  for (int slot = 0; slot < 2; slot++) {
    slots_.push_back({{context, most_rows + 1}, {context, most_entries}, {context, most_entries}});
  }
}

std::span<int64_t> RatingBlocks::offsets_of(int64_t block) const {
  return {block_offsets_.get() + bounds_[block] + block, static_cast<size_t>(bounds_[block + 1] - bounds_[block] + 1)};
}

void RatingBlocks::write(int64_t at, std::span<const int32_t> columns, std::span<const float> values) {
  if (!streams_) {
    slots_[0].columns.write(columns, at);
    slots_[0].values.write(values, at);
  } else if (columns_) {
    std::ranges::copy(columns, columns_.get() + at);
    std::ranges::copy(values, values_.get() + at);
  }
}

// Starts to fill a slot with a block, which the operations enqueued so far do not prevent, except those that use it.
void RatingBlocks::start(int64_t block) {
  started_ = block;
  Slot& slot = slots_[block % 2];
  const auto offsets = offsets_of(block);
  const int64_t begin = bounds_[block], end = bounds_[block + 1], first = offsets_[begin];
  const auto entries = static_cast<size_t>(offsets.back());
  copies_->hold_copies();
  copies_->start(slot.offsets.data(), offsets.data(), offsets.size_bytes());
  if (columns_) {
    copies_->start(slot.columns.data(), columns_.get() + first, entries * sizeof(int32_t));
    copies_->start(slot.values.data(), values_.get() + first, entries * sizeof(float));
  } else {
    reading_ = std::async(std::launch::async, [this, &slot, begin, end, entries] {
      again_(begin, end, {slot.columns.data(), entries}, {slot.values.data(), entries});
    });
  }
}

void RatingBlocks::await() {
  if (reading_.valid()) reading_.get();
  copies_->hold_operations();
}

void RatingBlocks::each(int64_t piece, const std::function<void(int64_t, const cuda::Csr<const float>&)>& use) {
  for (int64_t block = pieces_[piece]; block < pieces_[piece + 1]; block++) {
    const int64_t first = bounds_[block], count = bounds_[block + 1] - first;
    if (!streams_) {
      const Slot& all = slots_[0];
      use(first, {count, all.offsets.data() + first + block, all.columns.data() + offsets_[first],
                  all.values.data() + offsets_[first]});
      continue;
    }
    if (started_ < block) start(block);
    await();
    if (block + 1 < blocks()) start(block + 1);
    const Slot& slot = slots_[block % 2];
    use(first, {count, slot.offsets.data(), slot.columns.data(), slot.values.data()});
  }
  if (piece + 2 == std::ssize(pieces_)) started_ = -1;
}

}  // namespace sartor
