// The safetensors format: a JSON header that says where each tensor lies, then the tensors' bytes.
//
//   8 bytes   length of the header, little endian
//   header    {"__metadata__": {"format": "pt"}, "bert.pooler.dense.bias": {"dtype": "F32", "shape": [384],
//             "data_offsets": [0, 1536]}, ...}, padded with spaces
//   data      offsets count from here; every byte belongs to exactly one tensor
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

std::string_view name(Dtype dtype);  // as a header has it: "F32"
int64_t bytes(Dtype dtype);          // of one element
bool is_floating(Dtype dtype);       // of 16 bits or more: what a model's weights may be

// A tensor as a file has it, row-major and little endian. The bytes belong to the file.
struct TensorView {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<int64_t> shape;       // empty for a scalar
  std::span<const std::byte> data;  // product(shape) * bytes(dtype); any alignment

  int64_t size() const;  // product(shape)
};

std::string shape_text(std::span<const int64_t> shape);  // "(30522, 384)"

// Where a tensor lies in the data.
struct TensorEntry {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  // in the order of their bytes
  std::map<std::string, std::string> metadata;
};

// Reads the JSON between the length and the data. `source` is the file's name, for messages. Throws
// std::invalid_argument on anything but the format above: an unknown or missing key, an unknown dtype, a shape whose
// product overflows, offsets that do not fit the shape, overlap, leave a gap or leave the data, a name that comes
// twice. Needs memory in proportion to the header's text only.
SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_bytes, const std::string& source);

// A file, mapped into memory: a tensor costs memory once its bytes are read.
// The file must not be shortened while it is open; one that is replaced by renaming (as ours are) is safe.
class SafetensorsFile {
 public:
  // Throws std::invalid_argument if the file is missing or is not what parse_safetensors_header expects.
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::vector<TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  // Gives the memory of the pages read so far back; they are read again when needed.
  void release() const;

 private:
  SafetensorsFile() = default;
  void swap(SafetensorsFile& other) noexcept;

  void* mapped_ = nullptr;
  size_t mapped_bytes_ = 0;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Writes the file, whole or not at all; what had its name is replaced. Widest dtypes come first, then by name, so that
// every tensor is aligned to its elements. Names must differ and `data` must fit shape and dtype
// (std::invalid_argument). Failures of the disk are std::system_error with the path.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace sartor::hf
