#include "models/hf/safetensors.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/require.h"
#include "storage/atomic_file.h"
#include "storage/descriptor.h"

namespace sartor::hf {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are mapped without byte swapping");

constexpr uint64_t longest_header = 100'000'000;  // as in the reference implementation
constexpr size_t most_dimensions = 64;

struct DtypeRow {
  Dtype dtype;
  std::string_view name;
  int64_t bytes;
};
constexpr std::array dtypes = {
    DtypeRow{Dtype::boolean, "BOOL", 1},    DtypeRow{Dtype::u8, "U8", 1},           DtypeRow{Dtype::i8, "I8", 1},
    DtypeRow{Dtype::f8_e4m3, "F8_E4M3", 1}, DtypeRow{Dtype::f8_e5m2, "F8_E5M2", 1}, DtypeRow{Dtype::u16, "U16", 2},
    DtypeRow{Dtype::i16, "I16", 2},         DtypeRow{Dtype::f16, "F16", 2},         DtypeRow{Dtype::bf16, "BF16", 2},
    DtypeRow{Dtype::u32, "U32", 4},         DtypeRow{Dtype::i32, "I32", 4},         DtypeRow{Dtype::f32, "F32", 4},
    DtypeRow{Dtype::u64, "U64", 8},         DtypeRow{Dtype::i64, "I64", 8},         DtypeRow{Dtype::f64, "F64", 8},
};
const DtypeRow& row_of(Dtype dtype) { return dtypes[static_cast<size_t>(dtype)]; }

// Size of a tensor in bytes; std::nullopt on overflow.
std::optional<uint64_t> tensor_bytes(std::span<const int64_t> shape, Dtype dtype) {
  uint64_t product = static_cast<uint64_t>(bytes(dtype));
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(product, static_cast<uint64_t>(size), &product)) return {};
    if (product > static_cast<uint64_t>(INT64_MAX)) return {};
  }
  return product;
}

// Parses the header as a stream and rejects everything else than the format's structure as soon as it occurs, so that
// memory is limited by the size of the text.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(SafetensorsHeader& header, const std::string& source) : header_(header), source_(source) {}

  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("true or false"); }
  bool number_integer(int64_t value) override { return refuse(fmt::format("{}", value)); }
  bool number_float(double, const std::string& text) override { return refuse(text); }
  bool binary(nlohmann::json::binary_t&) override { return refuse("bytes"); }
  bool number_unsigned(uint64_t value) override {
    if (place_ == Place::shape) {
      require(value <= static_cast<uint64_t>(INT64_MAX), "{}: tensor {}: size {} is too large", source_, entry_.name,
              value);
      require(entry_.shape.size() < most_dimensions, "{}: tensor {}: more than {} dimensions", source_, entry_.name,
              most_dimensions);
      entry_.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (place_ != Place::offsets) return refuse(fmt::format("{}", value));
    require(offsets_ < 2, "{}: tensor {}: more than two data_offsets", source_, entry_.name);
    (offsets_++ == 0 ? entry_.begin : entry_.end) = value;
    return true;
  }
  bool string(std::string& value) override {
    if (place_ == Place::metadata_value) {
      place_ = Place::metadata;
      header_.metadata[key_] = std::move(value);
      return true;
    }
    if (place_ != Place::dtype) return refuse(fmt::format("the string \"{}\"", value));
    const auto found = std::ranges::find(dtypes, std::string_view(value), &DtypeRow::name);
    require(found != dtypes.end(), "{}: tensor {}: dtype {} is unknown, known are {}", source_, entry_.name, value,
            fmt::join(names(), ", "));
    entry_.dtype = found->dtype;
    place_ = Place::tensor;
    return true;
  }
  bool key(std::string& name) override {
    if (place_ == Place::top) {
      if (name == "__metadata__") {
        require(!std::exchange(has_metadata_, true), "{}: duplicate __metadata__", source_);
        place_ = Place::metadata_object;
        return true;
      }
      require(names_.insert(name).second, "{}: duplicate tensor {}", source_, name);
      entry_ = {.name = std::move(name)};
      has_ = {};
      offsets_ = 0;
      place_ = Place::tensor_object;
    } else if (place_ == Place::metadata) {
      require(!header_.metadata.contains(name), "{}: duplicate metadata key {}", source_, name);
      key_ = std::move(name);
      place_ = Place::metadata_value;
    } else {
      const size_t which = std::ranges::find(fields, std::string_view(name)) - fields.begin();
      require(which < fields.size(), "{}: tensor {}: unknown key {}, expected dtype, shape and data_offsets", source_,
              entry_.name, name);
      require(!std::exchange(has_[which], true), "{}: tensor {}: duplicate {}", source_, entry_.name, name);
      place_ = std::array{Place::dtype, Place::shape_array, Place::offsets_array}[which];
    }
    return true;
  }
  bool start_object(size_t) override {
    switch (place_) {
      case Place::before:
        place_ = Place::top;
        return true;
      case Place::metadata_object:
        place_ = Place::metadata;
        return true;
      case Place::tensor_object:
        place_ = Place::tensor;
        return true;
      default:
        return refuse("an object");
    }
  }
  bool end_object() override {
    if (place_ == Place::tensor) {
      for (size_t i = 0; i < fields.size(); i++) {
        require(has_[i], "{}: tensor {} has no {}", source_, entry_.name, fields[i]);
      }
      header_.tensors.push_back(std::move(entry_));
    }
    place_ = place_ == Place::top ? Place::after : Place::top;
    return true;
  }
  bool start_array(size_t) override {
    if (place_ == Place::shape_array) {
      place_ = Place::shape;
    } else if (place_ == Place::offsets_array) {
      place_ = Place::offsets;
    } else {
      return refuse("an array");
    }
    return true;
  }
  bool end_array() override {
    require(place_ == Place::shape || offsets_ == 2, "{}: tensor {}: data_offsets has {} numbers, expected 2", source_,
            entry_.name, offsets_);
    place_ = Place::tensor;
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    require(false, "{}: invalid JSON in the header at byte {}", source_, position);
    return false;
  }

 private:
  enum class Place {
    before,
    top,
    after,
    metadata_object,
    metadata,
    metadata_value,
    tensor_object,
    tensor,
    dtype,
    shape_array,
    shape,
    offsets_array,
    offsets
  };
  static constexpr std::array<std::string_view, 3> fields = {"dtype", "shape", "data_offsets"};

  static std::vector<std::string_view> names() {
    std::vector<std::string_view> names;
    for (const auto& row : dtypes) names.push_back(row.name);
    return names;
  }
  bool refuse(std::string_view found) {
    static constexpr std::array<std::string_view, 13> expected = {"an object",
                                                                  "a tensor's name",
                                                                  "the end",
                                                                  "an object of strings",
                                                                  "a key",
                                                                  "a string",
                                                                  "an object",
                                                                  "dtype, shape or data_offsets",
                                                                  "a string",
                                                                  "an array",
                                                                  "a size of at least 0",
                                                                  "an array",
                                                                  "an offset of at least 0"};
    const bool in_tensor = place_ >= Place::tensor_object;
    require(false, "{}: {}: found {}, expected {}", source_, in_tensor ? "tensor " + entry_.name : "header", found,
            expected[static_cast<size_t>(place_)]);
    return false;
  }

  SafetensorsHeader& header_;
  const std::string& source_;
  Place place_ = Place::before;
  TensorEntry entry_;
  std::array<bool, 3> has_ = {};
  int offsets_ = 0;
  bool has_metadata_ = false;
  std::string key_;
  std::unordered_set<std::string> names_;
};

void check_places(std::vector<TensorEntry>& tensors, uint64_t data_bytes, const std::string& source) {
  for (const auto& tensor : tensors) {
    const auto needed = tensor_bytes(tensor.shape, tensor.dtype);
    require(needed.has_value(), "{}: tensor {}: shape {} overflows", source, tensor.name, shape_text(tensor.shape));
    require(tensor.begin <= tensor.end && tensor.end <= data_bytes,
            "{}: tensor {}: data_offsets [{}, {}] are not a valid range of the file's {} bytes of data", source,
            tensor.name, tensor.begin, tensor.end, data_bytes);
    require(tensor.end - tensor.begin == *needed, "{}: tensor {}: {} bytes of data, {} {} needs {}", source,
            tensor.name, tensor.end - tensor.begin, name(tensor.dtype), shape_text(tensor.shape), *needed);
  }
  // Empty tensors are sorted before the tensor at the same offset.
  std::ranges::sort(tensors, {}, [](const TensorEntry& tensor) { return std::pair(tensor.begin, tensor.end); });
  uint64_t end = 0;
  for (const auto& tensor : tensors) {
    require(tensor.begin >= end, "{}: tensor {} begins at byte {}, before the end of another at byte {}", source,
            tensor.name, tensor.begin, end);
    require(tensor.begin == end, "{}: bytes {} to {} of the data belong to no tensor", source, end, tensor.begin);
    end = tensor.end;
  }
  require(end == data_bytes, "{}: bytes {} to {} of the data belong to no tensor", source, end, data_bytes);
}

}  // namespace

std::string_view name(Dtype dtype) { return row_of(dtype).name; }
int64_t bytes(Dtype dtype) { return row_of(dtype).bytes; }
bool is_floating(Dtype dtype) {
  return dtype == Dtype::f16 || dtype == Dtype::bf16 || dtype == Dtype::f32 || dtype == Dtype::f64;
}

int64_t TensorView::size() const { return static_cast<int64_t>(data.size()) / bytes(dtype); }

std::string shape_text(std::span<const int64_t> shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_bytes, const std::string& source) {
  require(json.starts_with('{'), "{}: the header does not begin with {{", source);
  SafetensorsHeader header;
  HeaderReader reader(header, source);
  nlohmann::json::sax_parse(json.begin(), json.end(), &reader);
  check_places(header.tensors, data_bytes, source);
  return header;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) {
  require(std::filesystem::is_regular_file(path), "{}: is not a file", path.string());
  const datasets::Descriptor file(path, O_RDONLY);
  struct stat status;
  datasets::check_system(::fstat(file.number(), &status) == 0, "read", path);
  const auto file_bytes = static_cast<uint64_t>(status.st_size);
  uint64_t length = 0;
  require(file_bytes >= sizeof length, "{}: {} bytes, too short for a safetensors file", path.string(), file_bytes);

  void* mapped = ::mmap(nullptr, file_bytes, PROT_READ, MAP_PRIVATE, file.number(), 0);
  datasets::check_system(mapped != MAP_FAILED, "map", path);
  SafetensorsFile owner;  // unmaps on exceptions
  owner.mapped_ = mapped;
  owner.mapped_bytes_ = file_bytes;

  const auto* begin = static_cast<const char*>(mapped);
  std::memcpy(&length, begin, sizeof length);
  require(length <= longest_header && length <= file_bytes - sizeof length,
          "{}: header of {} bytes in a file of {} bytes, expected at most {}", path.string(), length, file_bytes,
          longest_header);
  const uint64_t data_bytes = file_bytes - sizeof length - length;
  auto header = parse_safetensors_header({begin + sizeof length, length}, data_bytes, path.string());
  const auto* data = reinterpret_cast<const std::byte*>(begin) + sizeof length + length;
  owner.tensors_.reserve(header.tensors.size());
  for (auto& entry : header.tensors) {
    owner.tensors_.push_back({std::move(entry.name),
                              entry.dtype,
                              std::move(entry.shape),
                              {data + entry.begin, static_cast<size_t>(entry.end - entry.begin)}});
  }
  owner.metadata_ = std::move(header.metadata);
  swap(owner);
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept { swap(other); }

void SafetensorsFile::swap(SafetensorsFile& other) noexcept {
  std::swap(mapped_, other.mapped_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  std::swap(tensors_, other.tensors_);
  std::swap(metadata_, other.metadata_);
}

SafetensorsFile::~SafetensorsFile() {
  if (mapped_) ::munmap(mapped_, mapped_bytes_);
}

void SafetensorsFile::release() const {
  if (mapped_) ::madvise(mapped_, mapped_bytes_, MADV_DONTNEED);
}

void write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const TensorView*> order;
  for (const auto& tensor : tensors) {
    require(tensor_bytes(tensor.shape, tensor.dtype) == tensor.data.size(), "{}: tensor {}: {} bytes for {} {}",
            path.string(), tensor.name, tensor.data.size(), name(tensor.dtype), shape_text(tensor.shape));
    require(tensor.name != "__metadata__", "{}: a tensor cannot be named __metadata__", path.string());
    order.push_back(&tensor);
  }
  std::ranges::sort(order, {}, [](const TensorView* tensor) {
    return std::pair(-bytes(tensor->dtype), std::string_view(tensor->name));
  });

  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const auto* tensor : order) {
    require(!header.contains(tensor->name), "{}: duplicate tensor {}", path.string(), tensor->name);
    header[tensor->name] = {{"dtype", name(tensor->dtype)},
                            {"shape", tensor->shape},
                            {"data_offsets", {offset, offset + tensor->data.size()}}};
    offset += tensor->data.size();
  }
  std::string text = header.is_null() ? "{}" : header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // aligns the data
  const uint64_t length = text.size();

  datasets::AtomicFile target(path);
  {
    const datasets::Descriptor file(target.temporary(), O_WRONLY | O_CREAT | O_TRUNC);
    const auto write = [&](const void* bytes, size_t size) {
      datasets::write_all(file, {static_cast<const char*>(bytes), size}, path);
    };
    write(&length, sizeof length);
    write(text.data(), text.size());
    for (const auto* tensor : order) write(tensor->data.data(), tensor->data.size());
  }
  target.commit();
}

}  // namespace sartor::hf
