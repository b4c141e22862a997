#include "storage/hdf5_file.h"

#include <fmt/format.h>
#include <hdf5.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "base/require.h"
#include "storage/hdf5_heap.h"

namespace sartor::datasets {
namespace {

static_assert(std::is_same_v<hid_t, int64_t>);

// Description of the innermost HDF5 error, and the errno in it (0 if it has none).
struct Failure {
  std::string text;
  int system_error = 0;
};

Failure last_failure() {
  Failure failure;
  const auto visit = [](unsigned, const H5E_error2_t* entry, void* into) -> herr_t {
    static_cast<Failure*>(into)->text = entry->desc;
    return 1;  // stop at the innermost
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, visit, &failure);
  if (const auto at = failure.text.find("errno = "); at != std::string::npos) {
    std::from_chars(failure.text.data() + at + 8, failure.text.data() + failure.text.size(), failure.system_error);
  }
  return failure;
}

[[noreturn]] void fail(const std::string& name, std::string_view what) {
  const Failure failure = last_failure();
  const std::string text = fmt::format("{} {}", name, what);
  if (failure.system_error) throw std::system_error(failure.system_error, std::generic_category(), text);
  throw std::invalid_argument(failure.text.empty() ? text : fmt::format("{}: {}", text, failure.text));
}

template <class Result> Result check(Result result, const std::string& name, std::string_view what) {
  if (result < 0) fail(name, what);
  return result;
}

Hdf5Handle new_list(hid_t list_class) { return {H5Pcreate(list_class), H5Pclose}; }

// POSIX driver without file locks, which network file systems may refuse.
Hdf5Handle file_access() {
  Hdf5Handle access = new_list(H5P_FILE_ACCESS);
  H5Pset_fapl_sec2(access.get());
  H5Pset_file_locking(access.get(), false, true);
  return access;
}

// Omits timestamps, so that equal contents give equal bytes.
Hdf5Handle without_times(hid_t list_class) {
  Hdf5Handle form = new_list(list_class);
  H5Pset_obj_track_times(form.get(), false);
  return form;
}

Hdf5Handle string_type() {
  Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), H5T_VARIABLE);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

Hdf5Handle reference_type() { return {H5Tcreate(H5T_OPAQUE, sizeof(HeapReference)), H5Tclose}; }

// Converts strings in a file to opaque bytes without changing them, which exposes the heap references.
herr_t keep_references(hid_t from, hid_t to, H5T_cdata_t* conversion, size_t, size_t, size_t, void*, void*, hid_t) {
  if (conversion->command != H5T_CONV_INIT) return 0;
  conversion->need_bkg = H5T_BKG_NO;
  return H5Tis_variable_str(from) > 0 && H5Tget_size(from) == H5Tget_size(to) ? 0 : -1;
}

// Disables HDF5's error printer (one per thread), because errors become exceptions, and external links, because an
// untrusted file must not make the program read other files.
void prepare_library() {
  static const bool once = [] {
    H5dont_atexit();  // fails if HDF5 is already initialized, which is harmless
    return H5open() >= 0 && H5Lunregister(H5L_TYPE_EXTERNAL) >= 0 &&
           H5Tregister(H5T_PERS_SOFT, "reference", string_type().get(), reference_type().get(), keep_references) >= 0;
  }();
  static thread_local const bool quiet = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  if (!once || !quiet) throw std::runtime_error("the HDF5 library cannot be initialized");
}

Hdf5Handle type_of(Hdf5Type type) {
  switch (type) {
    case Hdf5Type::float32:
      return {H5Tcopy(H5T_NATIVE_FLOAT), H5Tclose};
    case Hdf5Type::float64:
      return {H5Tcopy(H5T_NATIVE_DOUBLE), H5Tclose};
    case Hdf5Type::int32:
      return {H5Tcopy(H5T_NATIVE_INT32), H5Tclose};
    case Hdf5Type::int64:
      return {H5Tcopy(H5T_NATIVE_INT64), H5Tclose};
    case Hdf5Type::uint8:
      return {H5Tcopy(H5T_NATIVE_UINT8), H5Tclose};
    case Hdf5Type::string:
      break;
  }
  return string_type();
}

// Name of the type: float32, uint8, string. Types with different names are rejected: HDF5 would convert them using
// sizes from the file without bounds checks, and the file may be damaged.
std::string describe(hid_t type) {
  if (H5Tis_variable_str(type) > 0) return "string";
  std::string text;
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      text = H5Tget_sign(type) == H5T_SGN_NONE ? "uint" : "int";
      break;
    case H5T_FLOAT:
      text = "float";
      break;
    default:
      return "something else";
  }
  text += std::to_string(8 * H5Tget_size(type));
  for (const auto known : {Hdf5Type::float32, Hdf5Type::float64, Hdf5Type::int32, Hdf5Type::int64, Hdf5Type::uint8}) {
    if (H5Tequal(type, type_of(known).get()) > 0) return text;
  }
  return "unsupported " + text;
}

// The string heap of the file that contains the object.
Hdf5Heap heap_of(hid_t object, const std::string& name) {
  const Hdf5Handle file(H5Iget_file_id(object), H5Fclose), form(H5Fget_create_plist(file.get()), H5Pclose);
  size_t address_size = 0, length_size = 0;
  hsize_t user_block = 0, file_size = 0;
  void* descriptor = nullptr;
  H5Pget_sizes(form.get(), &address_size, &length_size);
  H5Pget_userblock(form.get(), &user_block);
  require(address_size == 8 && length_size == 8 && user_block == 0,
          "{}: strings cannot be read from files with a user block or addresses other than 64-bit", name);
  check(H5Fget_filesize(file.get(), &file_size), name, "cannot be read");
  check(H5Fget_vfd_handle(file.get(), H5P_DEFAULT, &descriptor), name, "cannot be read");
  return {name, *static_cast<const int*>(descriptor), file_size};
}

}  // namespace

int64_t Hdf5Dataset::rows_in(size_t elements) const {
  if (elements == 0) return 0;
  require(columns_ > 0 && elements % columns_ == 0, "{}: {} values are not a multiple of {} columns", name_, elements,
          columns_);
  return elements / columns_;
}

Hdf5Dataset::Slab Hdf5Dataset::slab(std::span<const RowRun> runs) const {
  prepare_library();
  Hdf5Handle file(H5Dget_space(dataset_.get()), H5Sclose);
  hsize_t rows = 0;
  for (const auto& [first, count] : runs) {
    require(0 <= first && count <= rows_ - first, "{}: rows {} to {} requested, there are {}", name_, first,
            first + count - 1, rows_);
    const hsize_t start[] = {hsize_t(first), 0}, extent[] = {hsize_t(count), hsize_t(columns_)};
    const auto join = rows == 0 ? H5S_SELECT_SET : H5S_SELECT_OR;
    check(H5Sselect_hyperslab(file.get(), join, start, nullptr, extent, nullptr), name_, "has no such rows");
    rows += count;
  }
  const hsize_t extent[] = {rows, hsize_t(columns_)};
  return {{H5Screate_simple(rank_, extent, nullptr), H5Sclose}, std::move(file)};
}

void Hdf5Dataset::read(std::span<const RowRun> runs, Hdf5Type type, void* values) const {
  const Slab slab = this->slab(runs);
  check(H5Dread(dataset_.get(), type_of(type).get(), slab.memory.get(), slab.file.get(), H5P_DEFAULT, values), name_,
        "cannot be read");
}

void Hdf5Dataset::write(int64_t first, int64_t count, Hdf5Type type, const void* values) {
  const RowRun run = {first, count};
  const Slab slab = this->slab(std::span(&run, 1));
  check(H5Dwrite(dataset_.get(), type_of(type).get(), slab.memory.get(), slab.file.get(), H5P_DEFAULT, values), name_,
        "cannot be written");
}

std::vector<std::string> Hdf5Strings::read(int64_t first, int64_t count) const {
  const RowRun run = {first, count};
  const Slab slab = this->slab(std::span(&run, 1));
  std::vector<HeapReference> references(count);
  check(H5Dread(dataset_.get(), reference_type().get(), slab.memory.get(), slab.file.get(), H5P_DEFAULT,
                references.data()),
        name_, "cannot be read");
  Hdf5Heap heap = heap_of(dataset_.get(), name_);
  uint64_t bytes = 0;
  std::vector<std::string> strings;
  for (const auto& reference : references) {
    strings.emplace_back(heap.string(reference));
    bytes += strings.back().size();  // many references to one long string could otherwise exhaust memory
    require(bytes <= heap.file_size(), "{}: the strings are longer than the file", name_);
  }
  return strings;
}

void Hdf5Strings::write(int64_t first, std::span<const std::string_view> strings) {
  std::string bytes;
  for (const auto string : strings) {
    require(string.find('\0') == string.npos, "{}: a string holds a zero byte: \"{}\"", name_, string.data());
    bytes.append(string) += '\0';
  }
  std::vector<const char*> texts;
  const char* text = bytes.data();
  for (const auto string : strings) {
    texts.push_back(text);
    text += string.size() + 1;
  }
  Hdf5Dataset::write(first, std::ssize(strings), Hdf5Type::string, texts.data());
}

Hdf5File Hdf5File::open(const std::filesystem::path& path) {
  require(std::filesystem::exists(path), "{}: no such file", path.string());
  require(!std::filesystem::is_directory(path), "{} is a folder, expected an HDF5 file", path.string());
  prepare_library();
  const Hdf5Handle access = file_access();
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get());
  return {path, {check(file, path.string(), "is not a readable HDF5 file"), H5Fclose}};
}

Hdf5File Hdf5File::create(const std::filesystem::path& path) {
  prepare_library();
  const Hdf5Handle access = file_access(), form = without_times(H5P_FILE_CREATE);
  H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG);                // close() also closes open datasets
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_V18);  // oldest format with checksums
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, form.get(), access.get());
  return {path, {check(file, path.string(), "cannot be created"), H5Fclose}};
}

void Hdf5File::close() { check(H5Fclose(file_.release()), path_.string(), "cannot be written"); }

bool Hdf5File::has(const std::string& name) const {
  for (size_t end = name.find('/', 1);; end = name.find('/', end + 1)) {  // HDF5 needs existing parent groups
    if (H5Lexists(file_.get(), name.substr(0, end).c_str(), H5P_DEFAULT) <= 0) return false;
    if (end == name.npos) return true;
  }
}

Hdf5Dataset Hdf5File::open_dataset(const std::string& name, Hdf5Type type, int rank) const {
  prepare_library();
  const std::string full_name = name_of(name), path = path_.string();
  require(has(name), "{} is missing", full_name);
  Hdf5Handle dataset(check(H5Dopen2(file_.get(), name.c_str(), H5P_DEFAULT), full_name, "is not a dataset"), H5Dclose);
  const Hdf5Handle stored(H5Dget_type(dataset.get()), H5Tclose), space(H5Dget_space(dataset.get()), H5Sclose);
  const int found_rank = H5Sget_simple_extent_ndims(space.get());
  const std::string found = describe(stored.get()), expected = describe(type_of(type).get());
  require(found == expected && found_rank == rank, "{} is {}-d {}, expected {}-d {}", full_name, found_rank, found,
          rank, expected);

  // Rejects values outside the file (fill values, virtual or external storage). Deflate compresses at most 1032:1.
  hsize_t shape[] = {0, 1}, file_size = 0;
  H5Sget_simple_extent_dims(space.get(), shape, nullptr);
  check(H5Fget_filesize(file_.get(), &file_size), path, "cannot be read");
  const Hdf5Handle layout(H5Dget_create_plist(dataset.get()), H5Pclose);
  const bool inside = H5Pget_layout(layout.get()) != H5D_VIRTUAL && H5Pget_external_count(layout.get()) == 0;
  require(inside, "{} has values outside the file", full_name);
  const hsize_t packed = H5Pget_nfilters(layout.get()) > 0 ? 1032 : 1;
  const hsize_t bytes = std::min<hsize_t>(H5Dget_storage_size(dataset.get()), file_size);
  const hsize_t most = bytes * packed / H5Tget_size(stored.get());
  const bool fits = shape[0] == 0 || shape[1] <= most / shape[0];
  require(fits, "{} claims {} x {} values, its {} bytes hold at most {}", full_name, shape[0], shape[1], bytes, most);
  return {full_name, std::move(dataset), rank, int64_t(shape[0]), int64_t(shape[1])};
}

Hdf5Dataset Hdf5File::create_dataset(const std::string& name, Hdf5Type type, int rank, int64_t rows, int64_t columns) {
  prepare_library();
  const std::string full_name = name_of(name);
  const hsize_t shape[] = {hsize_t(rows), hsize_t(columns)};
  const Hdf5Handle space(H5Screate_simple(rank, shape, nullptr), H5Sclose), form = without_times(H5P_DATASET_CREATE);
  for (size_t end = name.find('/', 1); end != name.npos; end = name.find('/', end + 1)) {
    const std::string group = name.substr(0, end);
    if (has(group)) continue;
    const Hdf5Handle group_form = without_times(H5P_GROUP_CREATE);
    const hid_t created = H5Gcreate2(file_.get(), group.c_str(), H5P_DEFAULT, group_form.get(), H5P_DEFAULT);
    H5Gclose(check(created, name_of(group), "cannot be created"));
  }
  const hid_t created =
      H5Dcreate2(file_.get(), name.c_str(), type_of(type).get(), space.get(), H5P_DEFAULT, form.get(), H5P_DEFAULT);
  return {full_name, {check(created, full_name, "cannot be created"), H5Dclose}, rank, rows, columns};
}

void Hdf5File::write_attribute(const std::string& name, hid_t type, const void* value) {
  prepare_library();
  const Hdf5Handle scalar(H5Screate(H5S_SCALAR), H5Sclose);
  const std::string full_name = name_of("attribute " + name);
  const hid_t created = H5Acreate2(file_.get(), name.c_str(), type, scalar.get(), H5P_DEFAULT, H5P_DEFAULT);
  const Hdf5Handle attribute(check(created, full_name, "cannot be created"), H5Aclose);
  check(H5Awrite(attribute.get(), type, value), full_name, "cannot be written");
}

void Hdf5File::set_attribute(const std::string& name, int64_t value) {
  write_attribute(name, H5T_NATIVE_INT64, &value);
}

void Hdf5File::set_attribute(const std::string& name, double value) {
  write_attribute(name, H5T_NATIVE_DOUBLE, &value);
}

void Hdf5File::set_attribute(const std::string& name, const std::string& value) {
  const char* text = value.c_str();
  write_attribute(name, type_of(Hdf5Type::string).get(), &text);
}

void Hdf5File::read_attribute(const std::string& name, Hdf5Type type, void* value) const {
  prepare_library();
  const std::string full_name = name_of("attribute " + name);
  require(has_attribute(name), "{} is missing", full_name);
  const hid_t opened = H5Aopen(file_.get(), name.c_str(), H5P_DEFAULT);
  const Hdf5Handle attribute(check(opened, full_name, "cannot be read"), H5Aclose);
  const Hdf5Handle stored(H5Aget_type(opened), H5Tclose), space(H5Aget_space(opened), H5Sclose);
  const int64_t values = H5Sget_simple_extent_npoints(space.get());
  const std::string found = describe(stored.get()), expected = describe(type_of(type).get());
  require(found == expected && values == 1, "{} holds {} {}, expected one {}", full_name, values, found, expected);
  const Hdf5Handle memory = type == Hdf5Type::string ? reference_type() : type_of(type);
  check(H5Aread(opened, memory.get(), value), full_name, "cannot be read");
}

int64_t Hdf5File::int_attribute(const std::string& name) const {
  int64_t value = 0;
  read_attribute(name, Hdf5Type::int64, &value);
  return value;
}

double Hdf5File::double_attribute(const std::string& name) const {
  double value = 0;
  read_attribute(name, Hdf5Type::float64, &value);
  return value;
}

std::string Hdf5File::string_attribute(const std::string& name) const {
  HeapReference reference;
  read_attribute(name, Hdf5Type::string, &reference);
  return std::string(heap_of(file_.get(), name_of("attribute " + name)).string(reference));
}

bool Hdf5File::has_attribute(const std::string& name) const {
  prepare_library();
  return H5Aexists(file_.get(), name.c_str()) > 0;
}

void Hdf5File::set_schema(const std::string& schema, int64_t version) {
  set_attribute("schema", schema);
  set_attribute("schema_version", version);
}

void Hdf5File::require_schema(const std::string& schema, int64_t version) const {
  require_schema(schema, version, version);
}

int64_t Hdf5File::require_schema(const std::string& schema, int64_t oldest, int64_t newest) const {
  const std::string found = string_attribute("schema");
  require(found == schema, "{}: schema is {}, expected {}", path_.string(), found, schema);
  const int64_t version = int_attribute("schema_version");
  const auto versions =
      oldest == newest ? fmt::format("version {}", newest) : fmt::format("versions {} to {}", oldest, newest);
  require(oldest <= version && version <= newest, "{}: {} has schema_version {}, this program reads {}", path_.string(),
          schema, version, versions);
  return version;
}

}  // namespace sartor::datasets
