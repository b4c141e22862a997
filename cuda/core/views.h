// Non-owning views of arrays in host memory or in the memory of a context's device.
#pragma once

#include <cstdint>

namespace sartor::cuda {

// A dense matrix, row-major without gaps: data[row * columns + column].
template <class T> struct Rows {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;

  T* row(int64_t index) const { return data + index * columns; }
  operator Rows<const T>() const { return {data, rows, columns}; }
};

// A sparse matrix in CSR format. Row r has the entries offsets[r] to offsets[r + 1] - 1 of `columns` and `values`.
// offsets has rows + 1 non-decreasing elements, the first of them 0. Columns ascend within a row.
template <class T> struct Csr {
  int64_t rows = 0;
  const int64_t* offsets = nullptr;
  const int32_t* columns = nullptr;
  T* values = nullptr;
};

// An ascending list of ids per row, with offsets as in Csr. If `rows` is 0, all lists are empty.
struct IdLists {
  int64_t rows = 0;
  const int64_t* offsets = nullptr;
  const int32_t* ids = nullptr;
};

// Output of a top-k search: scores and ids (rows, k), best first.
struct TopK {
  int64_t rows = 0;
  int64_t k = 0;
  float* scores = nullptr;
  int32_t* ids = nullptr;
};

}  // namespace sartor::cuda
