// Arrays that somebody else owns. Where they lie (host or device) is known by the context that they are used with.
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

// A sparse matrix by rows. Row r has the entries offsets[r] .. offsets[r + 1] - 1 of `columns` and `values`.
// offsets has rows + 1 elements, the first 0, none below the one before. Columns ascend within a row.
template <class T> struct Csr {
  int64_t rows = 0;
  const int64_t* offsets = nullptr;
  const int32_t* columns = nullptr;
  T* values = nullptr;
};

// For each row an ascending list of ids, laid out as in Csr. `rows` 0 stands for an empty list in every row.
struct IdLists {
  int64_t rows = 0;
  const int64_t* offsets = nullptr;
  const int32_t* ids = nullptr;
};

// Room for the k best of each row: scores and ids (rows, k), best first.
struct TopK {
  int64_t rows = 0;
  int64_t k = 0;
  float* scores = nullptr;
  int32_t* ids = nullptr;
};

}  // namespace sartor::cuda
