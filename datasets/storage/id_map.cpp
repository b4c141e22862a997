#include "storage/id_map.h"

#include <cstring>
#include <functional>

#include "base/require.h"

namespace sartor::datasets {
namespace {

uint32_t load32(const char* bytes) {
  uint32_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

}  // namespace

IdMap::IdMap(std::string what, int64_t limit) : what_(std::move(what)), limit_(limit), slots_(1024), shift_(54) {}

IdMap::Key IdMap::key_of(std::string_view id) {
  require(id.size() <= INT32_MAX, "an id has {} bytes, expected less than 2 GiB", id.size());
  const size_t size = id.size();
  const char* bytes = id.data();
  uint64_t word = 0;
  if (size > 8) {
    word = std::hash<std::string_view>()(id);
  } else if (size >= 4) {  // two loads, which may overlap
    word = load32(bytes) | uint64_t(load32(bytes + size - 4)) << 8 * (size - 4);
  } else {
    for (size_t i = 0; i < size; i++) word |= uint64_t(uint8_t(bytes[i])) << 8 * i;
  }
  return {word, int32_t(size)};
}

size_t IdMap::first_slot(uint64_t word) const { return (word ^ word >> 32) * 0x9e3779b97f4a7c15 >> shift_; }

size_t IdMap::slot_of(Key key, std::string_view id) const {
  for (size_t at = first_slot(key.word);; at = (at + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[at];
    if (slot.index < 0) return at;
    if (slot.word == key.word && slot.size == key.size && (key.size <= 8 || (*this)[slot.index] == id)) return at;
  }
}

int32_t IdMap::find(std::string_view id) const { return slots_[slot_of(key_of(id), id)].index; }

int32_t IdMap::insert(std::string_view id) {
  const Key key = key_of(id);
  Slot& slot = slots_[slot_of(key, id)];
  if (slot.index >= 0) return slot.index;
  require(size() < limit_, "more than {} {}", limit_, what_);
  const int32_t index = size();
  slot = {key.word, key.size, index};
  bytes_ += id;
  ends_.push_back(std::ssize(bytes_));
  if (4 * ends_.size() > 3 * slots_.size()) grow();
  return index;
}

void IdMap::grow() {
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(2 * slots_.size()));
  shift_--;
  for (const Slot& slot : old) {
    if (slot.index < 0) continue;
    size_t at = first_slot(slot.word);
    while (slots_[at].index >= 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }
}

}  // namespace sartor::datasets
