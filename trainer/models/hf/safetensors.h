// The safetensors format: a JSON header with the position of each tensor, then the data.
//
//   8 bytes   length of the header, little endian
//   header    {"__metadata__": {"format": "pt"}, "bert.pooler.dense.bias": {"dtype": "F32", "shape": [384],
//             "data_offsets": [0, 1536]}, ...}, padded with spaces
//   data      data_offsets are relative to its start; every byte belongs to exactly one tensor
//
// https://huggingface.co/docs/safetensors
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sartor::hf {

enum class Dtype { boolean, u8, i8, f8_e4m3, f8_e5m2, u16, i16, f16, bf16, u32, i32, f32, u64, i64, f64 };

std::string_view name(Dtype dtype);  // name in headers, such as "F32"
int64_t bytes(Dtype dtype);          // size of an element
bool is_floating(Dtype dtype);       // floating point of 16 bits or more, the dtypes of model weights

// A view of a tensor in a file, row-major and little-endian. The file owns the data.
struct TensorView {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<int64_t> shape;       // empty for a scalar
  std::span<const std::byte> data;  // product(shape) * bytes(dtype) bytes; any alignment

  int64_t size() const;  // product(shape)
};

std::string shape_text(std::span<const int64_t> shape);  // "(30522, 384)"

// Position of a tensor in the data.
struct TensorEntry {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  // ordered by position
  std::map<std::string, std::string> metadata;
};

// Parses the JSON header of a file with `data_bytes` bytes of data. `source` is the file name for messages. Throws
// std::invalid_argument if the header differs from the format: unknown, missing or duplicate keys or names, unknown
// dtypes, overflowing shapes, or offsets that do not match the shape, overlap, leave gaps, or are out of range. Memory
// is proportional to the size of the header.
SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_bytes, const std::string& source);

// A memory-mapped file; pages are loaded when tensors are read. The file must not be truncated while it is open;
// replacing it by renaming, as our programs do, is safe.
class SafetensorsFile {
 public:
  // Throws std::invalid_argument if the file is missing or invalid.
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::vector<TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  // Releases the memory of the pages read so far; they are loaded again when needed.
  void release() const;

 private:
  SafetensorsFile() = default;
  void swap(SafetensorsFile& other) noexcept;

  void* mapped_ = nullptr;
  size_t mapped_bytes_ = 0;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Writes a file atomically, replacing an existing one. Tensors are ordered by decreasing element size, then by name, so
// that all are aligned. Throws std::invalid_argument if names are not unique or `data` does not match shape and dtype,
// and std::system_error with the path if writing fails.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace sartor::hf
