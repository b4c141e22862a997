// Ratings of consecutive rows for operations on a device that may not have memory for all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <vector>

#include "core/copies.h"
#include "core/device_buffer.h"
#include "core/views.h"

namespace sartor {

// The ratings are on the context's device, if the given memory suffices. Otherwise blocks of rows take turns in it:
// while operations use a block, the next one arrives, on a GPU from page-locked host memory, on the CPU from where the
// ratings are read again (a file).
class RatingBlocks {
 public:
  // Copies the ratings of rows begin to end - 1 to the start of both arrays. Called in another thread.
  using Read = std::function<void(int64_t begin, int64_t end, std::span<int32_t> columns, std::span<float> values)>;

  // offsets (rows + 1): as in cuda::Csr. pieces: ascending rows from 0 to the number of rows, over which no block
  // extends. memory: bytes on the device; a block has one row at least, even if they do not suffice. `again` is kept.
  // copies: those of the context, or others for tests.
  RatingBlocks(cuda::Context& context, std::vector<int64_t> offsets, std::span<const int64_t> pieces, int64_t memory,
               Read again, std::unique_ptr<cuda::Copies> copies = nullptr);
  RatingBlocks(RatingBlocks&&) = default;
  RatingBlocks& operator=(RatingBlocks&&) = delete;
  ~RatingBlocks();

  // Bytes on the device for all ratings, and for the smallest blocks.
  static int64_t whole_bytes(std::span<const int64_t> offsets);
  static int64_t least_bytes(std::span<const int64_t> offsets);

  int64_t rows() const { return std::ssize(offsets_) - 1; }
  int64_t size() const { return offsets_.back(); }  // number of ratings
  int64_t blocks() const { return std::ssize(bounds_) - 1; }

  // The first reading: all ratings are written once, those of a call to places `at` and following.
  void write(int64_t at, std::span<const int32_t> columns, std::span<const float> values);

  // Calls use(first, ratings) for the blocks of a piece in order: `ratings` are those of rows first, first + 1, ..., on
  // the device. On a GPU, they may be used by operations that use() enqueues. All pieces must be visited in turn.
  void each(int64_t piece, const std::function<void(int64_t first, const cuda::Csr<const float>& ratings)>& use);

 private:
  struct Slot {  // memory on the device for one block, or for all
    cuda::DeviceBuffer<int64_t> offsets;
    cuda::DeviceBuffer<int32_t> columns;
    cuda::DeviceBuffer<float> values;
  };
  struct Release {
    cuda::Copies* copies;
    void operator()(void* memory) const noexcept { copies->release_host(memory); }
  };
  template <class T> using HostArray = std::unique_ptr<T[], Release>;
  template <class T> HostArray<T> host_array(int64_t size);

  void make_slots(cuda::Context& context);
  void fill_offsets();
  void start(int64_t block);
  void await();
  std::span<int64_t> offsets_of(int64_t block) const;

  std::vector<int64_t> offsets_;
  std::vector<int64_t> bounds_;  // first row of each block, then the number of rows
  std::vector<int64_t> pieces_;  // first block of each piece, then the number of blocks
  bool streams_ = false;
  Read again_;
  std::unique_ptr<cuda::Copies> copies_;
  HostArray<int64_t> block_offsets_;  // of each block, from 0: one more than rows in each
  HostArray<int32_t> columns_;        // on a GPU if the ratings stream
  HostArray<float> values_;
  std::vector<Slot> slots_;  // one, or two that take turns
  int64_t started_ = -1;     // last block that was started in this turn
  std::future<void> reading_;
};

}  // namespace sartor
