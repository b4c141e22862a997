#include "interactions/spill.h"

namespace sartor::datasets {
namespace {

template <class Block, class Each> void for_each_column(Block& block, Each each) {
  each(block.users);
  each(block.items);
  each(block.values);
  each(block.times);
  each(block.places);
}

}  // namespace

void Spill::write(const SpillBlock& block) {
  for_each_column(block, [&](const auto& column) {
    const size_t size = column.size();
    file_.append(std::span(&size, 1));
    file_.append(std::span(column));
    size_ += static_cast<int64_t>(sizeof size + size * sizeof column[0]);
  });
}

void Spill::rewind() { read_ = 0; }

bool Spill::read(SpillBlock& block) {
  if (read_ == size_) return false;
  for_each_column(block, [&](auto& column) {
    size_t size = 0;
    file_.read(read_, std::span(&size, 1));
    read_ += sizeof size;
    column.resize(size);
    file_.read(read_, std::span(column));
    read_ += static_cast<int64_t>(size * sizeof column[0]);
  });
  return true;
}

}  // namespace sartor::datasets
