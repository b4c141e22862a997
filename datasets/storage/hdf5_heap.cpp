#include "storage/hdf5_heap.h"

#include <unistd.h>

#include <cstring>

#include "base/require.h"

namespace sartor::datasets {
namespace {

constexpr ssize_t header_size =
    16;  // of a collection: "GCOL", version, 3 unused, 8 size; of an object: 2 number, 6 unused, 8 size

template <class T> T little_endian(const void* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

}  // namespace

void Hdf5Heap::load(uint64_t address) {
  const auto check = [&](bool sound) { require(sound, "{}: the heap of strings at {} is damaged", name_, address); };
  char header[header_size];
  check(address <= file_size_ && pread(file_, header, header_size, address) == header_size);
  const uint64_t size = little_endian<uint64_t>(header + 8);
  check(std::memcmp(header, "GCOL\1", 5) == 0 && size >= header_size && size <= file_size_ - address);
  address_ = UINT64_MAX;
  collection_.resize(size);
  check(pread(file_, collection_.data(), size, address) == ssize_t(size));
  objects_.clear();
  for (uint64_t at = header_size; size - at >= header_size;) {
    const char* object = &collection_[at];
    const auto number = little_endian<uint16_t>(object);
    const auto length = little_endian<uint64_t>(object + 8);
    if (number == 0) break;  // free space until the end
    check(length <= size - at - header_size);
    if (number >= objects_.size()) objects_.resize(number + 1);
    objects_[number] = {object + header_size, length};
    const uint64_t next = at + header_size + (length + 7) / 8 * 8;
    if (next > size) break;
    at = next;
  }
  address_ = address;
}

std::string_view Hdf5Heap::string(const HeapReference& reference) {
  const auto size = little_endian<uint32_t>(&reference[0]);
  const auto address = little_endian<uint64_t>(&reference[4]);
  const auto number = little_endian<uint32_t>(&reference[12]);
  if (size == 0) return "";
  if (address != address_) load(address);
  const bool there = number < objects_.size() && objects_[number].data() && size <= objects_[number].size();
  require(there, "{}: no string of {} bytes with the index {} in the heap at {}", name_, size, number, address);
  return objects_[number].substr(0, size);
}

}  // namespace sartor::datasets
