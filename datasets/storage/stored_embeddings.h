// Embeddings: one vector per text. One HDF5 file:
//
//   attributes             schema, schema_version, pooling (mean or cls), normalized (0 or 1)
//   /ids (N) string        ids of the texts
//   /rows (N) int64        row numbers in the source table, from 1, including headers and blank lines
//   /vectors (N, H) float32
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/atomic_file.h"
#include "storage/hdf5_file.h"

namespace sartor::datasets {

inline constexpr const char* embeddings_schema = "sartor.embeddings";
inline constexpr int64_t embeddings_version = 1;

struct EmbeddingsForm {
  std::string pooling;
  bool normalized = false;
  int64_t columns = 0;  // H
};

// Writes the file atomically: without finish() it does not appear.
class EmbeddingsWriter {
 public:
  EmbeddingsWriter(const std::filesystem::path& path, const EmbeddingsForm& form, int64_t rows);

  // Appends one id, row number and vector per text. Ids must not contain zero bytes.
  void append(std::span<const std::string_view> ids, std::span<const int64_t> rows, std::span<const float> vectors);
  // Throws std::invalid_argument if not all rows have been written.
  void finish();

 private:
  AtomicFile aside_;
  Hdf5File file_;
  Hdf5Strings ids_;
  Hdf5Numbers<int64_t> rows_;
  Hdf5Numbers<float> vectors_;
  int64_t written_ = 0;
};

class StoredEmbeddings {
 public:
  // Throws std::invalid_argument if the file has another schema or its sizes are inconsistent.
  explicit StoredEmbeddings(const std::filesystem::path& path);

  const EmbeddingsForm& form() const { return form_; }
  int64_t size() const { return vectors_.rows(); }
  const Hdf5File& file() const { return file_; }

  struct Slab {
    std::vector<std::string> ids;
    std::vector<int64_t> rows;
    std::vector<float> vectors;  // finite
  };
  Slab read(int64_t first, int64_t count) const;

 private:
  Hdf5File file_;
  Hdf5Strings ids_;
  Hdf5Numbers<int64_t> rows_;
  Hdf5Numbers<float> vectors_;
  EmbeddingsForm form_;
};

}  // namespace sartor::datasets
