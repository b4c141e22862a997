// HDF5 files: typed lists, matrices and strings, accessed in slabs of rows, and attributes of the root group.
//
// Objects that are missing, truncated, or of an unexpected type or size throw std::invalid_argument with the file, the
// dataset, and what was found and expected. Stored sizes are checked against the file's size before memory is
// allocated. System errors, such as a full disk, are std::system_error. Not thread-safe. Datasets must not outlive
// their file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sartor::datasets {

enum class Hdf5Type { float32, float64, int32, int64, uint8, string };

template <class T> inline constexpr Hdf5Type hdf5_type = Hdf5Type::string;
template <> inline constexpr Hdf5Type hdf5_type<float> = Hdf5Type::float32;
template <> inline constexpr Hdf5Type hdf5_type<double> = Hdf5Type::float64;
template <> inline constexpr Hdf5Type hdf5_type<int32_t> = Hdf5Type::int32;
template <> inline constexpr Hdf5Type hdf5_type<int64_t> = Hdf5Type::int64;
template <> inline constexpr Hdf5Type hdf5_type<uint8_t> = Hdf5Type::uint8;

// An HDF5 identifier and the function that closes it.
class Hdf5Handle {
 public:
  using Close = int (*)(int64_t);

  Hdf5Handle(int64_t id, Close close) : id_(id), close_(close) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(other.release()), close_(other.close_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Hdf5Handle() {
    if (id_ >= 0) close_(id_);
  }

  int64_t get() const { return id_; }
  int64_t release() { return std::exchange(id_, -1); }

 private:
  int64_t id_;
  Close close_;
};

// Rows first .. first + count - 1.
struct RowRun {
  int64_t first, count;
};

// A one- or two-dimensional dataset.
class Hdf5Dataset {
 public:
  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }  // 1 for a list
  int64_t size() const { return rows_ * columns_; }
  const std::string& name() const { return name_; }  // FILE: DATASET, for messages

 protected:
  friend class Hdf5File;
  Hdf5Dataset(std::string name, Hdf5Handle dataset, int rank, int64_t rows, int64_t columns)
      : name_(std::move(name)), dataset_(std::move(dataset)), rank_(rank), rows_(rows), columns_(columns) {}

  struct Slab {
    Hdf5Handle memory, file;  // dataspaces
  };
  Slab slab(std::span<const RowRun> runs) const;
  int64_t rows_in(size_t elements) const;
  void read(std::span<const RowRun> runs, Hdf5Type type, void* values) const;
  void write(int64_t first, int64_t count, Hdf5Type type, const void* values);

  std::string name_;
  Hdf5Handle dataset_;
  int rank_;
  int64_t rows_, columns_;
};

// A numeric dataset. T is float, double, int32_t, int64_t or uint8_t and must equal the stored type.
template <class T> class Hdf5Numbers : public Hdf5Dataset {
 public:
  explicit Hdf5Numbers(Hdf5Dataset&& dataset) : Hdf5Dataset(std::move(dataset)) {}

  // Reads consecutive rows into `values`, whose size must be a multiple of columns().
  void read(int64_t first, std::span<T> values) const {
    const RowRun run = {first, rows_in(values.size())};
    Hdf5Dataset::read(std::span(&run, 1), hdf5_type<T>, values.data());
  }
  // Reads several runs of rows and concatenates them. Runs must ascend and not overlap; `values` has exactly the size
  // of all their rows. One read of the file covers up to runs_per_read runs.
  void read(std::span<const RowRun> runs, std::span<T> values) const {
    T* at = values.data();
    for (size_t begin = 0; begin < runs.size(); begin += runs_per_read) {
      const auto some = runs.subspan(begin, std::min(runs_per_read, runs.size() - begin));
      Hdf5Dataset::read(some, hdf5_type<T>, at);
      for (const auto& run : some) at += run.count * columns_;
    }
  }
  // Selecting runs takes quadratic time in HDF5: 80 us for 128 runs, 15 ms for 2,000.
  static constexpr size_t runs_per_read = 128;

  std::vector<T> read() const {
    std::vector<T> values(size());
    read(0, values);
    return values;
  }
  void write(int64_t first, std::span<const T> values) {
    Hdf5Dataset::write(first, rows_in(values.size()), hdf5_type<T>, values.data());
  }
};

// A list of variable-length UTF-8 strings without zero bytes.
class Hdf5Strings : public Hdf5Dataset {
 public:
  explicit Hdf5Strings(Hdf5Dataset&& dataset) : Hdf5Dataset(std::move(dataset)) {}

  std::vector<std::string> read(int64_t first, int64_t count) const;
  void write(int64_t first, std::span<const std::string_view> strings);
};

class Hdf5File {
 public:
  static Hdf5File open(const std::filesystem::path& path);    // read-only, without a file lock
  static Hdf5File create(const std::filesystem::path& path);  // for writing; replaces an existing file

  // Flushes and closes the file. The destructor does the same but ignores errors.
  void close();

  bool has(const std::string& name) const;
  template <class T> Hdf5Numbers<T> list(const std::string& name) const {
    return Hdf5Numbers<T>(open_dataset(name, hdf5_type<T>, 1));
  }
  template <class T> Hdf5Numbers<T> matrix(const std::string& name) const {
    return Hdf5Numbers<T>(open_dataset(name, hdf5_type<T>, 2));
  }
  Hdf5Strings strings(const std::string& name) const { return Hdf5Strings(open_dataset(name, Hdf5Type::string, 1)); }

  // Creates a dataset and the groups on its path. Rows that are never written read as zeros.
  template <class T> Hdf5Numbers<T> create_list(const std::string& name, int64_t rows) {
    return Hdf5Numbers<T>(create_dataset(name, hdf5_type<T>, 1, rows, 1));
  }
  template <class T> Hdf5Numbers<T> create_matrix(const std::string& name, int64_t rows, int64_t columns) {
    return Hdf5Numbers<T>(create_dataset(name, hdf5_type<T>, 2, rows, columns));
  }
  Hdf5Strings create_strings(const std::string& name, int64_t rows) {
    return Hdf5Strings(create_dataset(name, Hdf5Type::string, 1, rows, 1));
  }

  void set_attribute(const std::string& name, int64_t value);
  void set_attribute(const std::string& name, double value);
  void set_attribute(const std::string& name, const std::string& value);
  int64_t int_attribute(const std::string& name) const;
  double double_attribute(const std::string& name) const;
  std::string string_attribute(const std::string& name) const;
  bool has_attribute(const std::string& name) const;

  // Type and version of the file, in the attributes schema and schema_version.
  void set_schema(const std::string& schema, int64_t version);
  void require_schema(const std::string& schema, int64_t version) const;
  // Accepts the versions oldest .. newest and returns the one found.
  int64_t require_schema(const std::string& schema, int64_t oldest, int64_t newest) const;

  const std::filesystem::path& path() const { return path_; }

 private:
  Hdf5File(std::filesystem::path path, Hdf5Handle file) : path_(std::move(path)), file_(std::move(file)) {}

  std::string name_of(const std::string& object) const { return path_.string() + ": " + object; }
  Hdf5Dataset open_dataset(const std::string& name, Hdf5Type type, int rank) const;
  Hdf5Dataset create_dataset(const std::string& name, Hdf5Type type, int rank, int64_t rows, int64_t columns);
  void read_attribute(const std::string& name, Hdf5Type type, void* value) const;
  void write_attribute(const std::string& name, int64_t type, const void* value);

  std::filesystem::path path_;
  Hdf5Handle file_;
};

}  // namespace sartor::datasets
