// Arrays of the host in the memory of a context's device.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "core/device_buffer.h"
#include "models/factorization/scorer.h"
#include "models/filters/interaction_graph.h"

namespace sartor {

// On a CPU the array of the host itself, on a GPU a copy. Must not outlive its context.
template <class T> class OnDevice {
 public:
  OnDevice() = default;
  // The array must outlive this object.
  OnDevice(cuda::Context& context, std::span<const T> values) : data_(values.data()), size_(std::ssize(values)) {
    if (!context.is_gpu()) return;
    copy_ = cuda::DeviceBuffer<T>(context, values);
    data_ = copy_.data();
  }
  OnDevice(cuda::Context& context, std::vector<T>&& values)
      : OnDevice(context, std::span<const T>(values.data(), values.size())) {
    if (!context.is_gpu()) own_ = std::move(values);
  }

  const T* data() const { return data_; }
  int64_t size() const { return size_; }

 private:
  std::vector<T> own_;
  cuda::DeviceBuffer<T> copy_;
  const T* data_ = nullptr;
  int64_t size_ = 0;
};

// The same for a sparse matrix.
class SparseOnDevice {
 public:
  SparseOnDevice() = default;
  SparseOnDevice(cuda::Context& context, SparseMatrix&& matrix)
      : offsets_(context, std::move(matrix.offsets)),
        columns_(context, std::move(matrix.columns)),
        values_(context, std::move(matrix.values)) {}
  // The matrix must outlive this object.
  SparseOnDevice(cuda::Context& context, const SparseMatrix& matrix)
      : offsets_(context, std::span(matrix.offsets)),
        columns_(context, std::span(matrix.columns)),
        values_(context, std::span(matrix.values)) {}
  SparseOnDevice(cuda::Context& context, const UserRatings& histories)
      : offsets_(context, std::span(histories.offsets)),
        columns_(context, std::span(histories.items)),
        values_(context, std::span(histories.values)) {}

  // Rows first to first + rows - 1; their offsets are those of the whole matrix.
  cuda::Csr<const float> rows(int64_t first, int64_t rows) const {
    return {rows, offsets_.data() + first, columns_.data(), values_.data()};
  }
  cuda::Csr<const float> view() const { return rows(0, offsets_.size() - 1); }

 private:
  OnDevice<int64_t> offsets_;
  OnDevice<int32_t> columns_;
  OnDevice<float> values_;
};

// The elements above 0 of a dense matrix as a sparse matrix, in the memory of the context's device.
class PositiveEntries {
 public:
  PositiveEntries(cuda::Context& context, cuda::Rows<const float> dense);

  cuda::Csr<const float> view() const {
    return {std::ssize(counts_), offsets_.data(), columns_.data(), values_.data()};
  }
  // Appends the rows to a matrix of the host.
  void append_to(SparseMatrix& matrix) const;

 private:
  std::vector<int64_t> counts_;
  cuda::DeviceBuffer<int64_t> offsets_;
  cuda::DeviceBuffer<int32_t> columns_;
  cuda::DeviceBuffer<float> values_;
};

}  // namespace sartor
