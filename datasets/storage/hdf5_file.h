// HDF5 files: typed lists, matrices and strings by slabs of rows, and attributes of the root group.
//
// What is missing, foreign, truncated, of another type or of an impossible size is the user's fault:
// std::invalid_argument naming the file and the dataset, what was found and what was expected. Stored sizes are
// compared with the size of the file before memory is taken. A failed system call (a full disk) is a std::system_error.
// One thread at a time. Datasets must not outlive their file.
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

// Rows first .. first + count - 1 of a dataset.
struct RowRun {
  int64_t first, count;
};

// A dataset of one or two dimensions, in slabs of whole rows.
class Hdf5Dataset {
 public:
  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }  // 1 for a list
  int64_t size() const { return rows_ * columns_; }
  const std::string& name() const { return name_; }  // FILE: DATASET, as messages begin

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

// Numbers: T is float, double, int32_t, int64_t or uint8_t, and the file's type is the same.
template <class T> class Hdf5Numbers : public Hdf5Dataset {
 public:
  explicit Hdf5Numbers(Hdf5Dataset&& dataset) : Hdf5Dataset(std::move(dataset)) {}

  // Rows first, first + 1, … , as many as fit into `values`, whose size is a multiple of columns().
  void read(int64_t first, std::span<T> values) const {
    const RowRun run = {first, rows_in(values.size())};
    Hdf5Dataset::read(std::span(&run, 1), hdf5_type<T>, values.data());
  }
  // The rows of several runs, one run behind the other. Runs ascend and do not overlap, and `values` has room for
  // exactly their rows. One access to the file takes up to runs_per_read runs.
  void read(std::span<const RowRun> runs, std::span<T> values) const {
    T* at = values.data();
    for (size_t begin = 0; begin < runs.size(); begin += runs_per_read) {
      const auto some = runs.subspan(begin, std::min(runs_per_read, runs.size() - begin));
      Hdf5Dataset::read(some, hdf5_type<T>, at);
      for (const auto& run : some) at += run.count * columns_;
    }
  }
  // HDF5 needs quadratic time to select many runs: 80 us for 128, 15 ms for 2,000.
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

// A list of variable-length UTF-8 strings without NUL.
class Hdf5Strings : public Hdf5Dataset {
 public:
  explicit Hdf5Strings(Hdf5Dataset&& dataset) : Hdf5Dataset(std::move(dataset)) {}

  std::vector<std::string> read(int64_t first, int64_t count) const;
  void write(int64_t first, std::span<const std::string_view> strings);
};

class Hdf5File {
 public:
  static Hdf5File open(const std::filesystem::path& path);    // to read; takes no file lock
  static Hdf5File create(const std::filesystem::path& path);  // to write, replacing what is there

  // Writes out what HDF5 still holds and closes. The destructor does the same but cannot tell of a failure.
  void close();

  bool has(const std::string& name) const;
  template <class T> Hdf5Numbers<T> list(const std::string& name) const {
    return Hdf5Numbers<T>(open_dataset(name, hdf5_type<T>, 1));
  }
  template <class T> Hdf5Numbers<T> matrix(const std::string& name) const {
    return Hdf5Numbers<T>(open_dataset(name, hdf5_type<T>, 2));
  }
  Hdf5Strings strings(const std::string& name) const { return Hdf5Strings(open_dataset(name, Hdf5Type::string, 1)); }

  // New datasets without values; groups on the way are made. Rows that are never written read as zeros.
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

  // Every file of ours says what it is in the attributes schema and schema_version.
  void set_schema(const std::string& schema, int64_t version);
  void require_schema(const std::string& schema, int64_t version) const;

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
