#include "interactions/write_prepared.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "storage/atomic_file.h"
#include "storage/hdf5_file.h"
#include "storage/prepared.h"
#include "storage/stored_ids.h"

namespace sartor::datasets {
namespace {

constexpr int64_t slab = int64_t(1) << 16;  // values per access to the file

// A column written sequentially in slabs.
template <class T> class Column {
 public:
  Column(Hdf5File& file, const std::string& name, int64_t rows) : numbers_(file.create_list<T>(name, rows)) {}

  void push_back(T value) {
    buffer_.push_back(value);
    if (std::ssize(buffer_) == slab) flush();
  }
  void flush() {
    numbers_.write(written_, buffer_);
    written_ += std::ssize(buffer_);
    buffer_.clear();
  }

 private:
  Hdf5Numbers<T> numbers_;
  std::vector<T> buffer_;
  int64_t written_ = 0;
};

// Writes the ratings of one part by user.
struct PartWriter {
  Column<int64_t> offsets;
  Column<int32_t> columns;
  Column<float> values;
  std::optional<Column<int64_t>> times;
  int64_t written = 0, of_user = 0;
  std::vector<int64_t> of_item;

  PartWriter(Hdf5File& file, const std::string& group, const Interactions& data, int64_t size)
      : offsets(file, group + "/offsets", data.users.size() + 1),
        columns(file, group + "/columns", size),
        values(file, group + "/values", size),
        of_item(data.items.size()) {
    if (!data.times.empty()) times.emplace(file, group + "/times", size);
    offsets.push_back(0);
  }

  void add(const Rating& rating) {
    columns.push_back(rating.item);
    values.push_back(rating.value);
    of_item[rating.item]++;
    of_user++;
  }
  void end_user() {
    written += std::exchange(of_user, 0);
    offsets.push_back(written);
  }
  void finish() {
    offsets.flush();
    columns.flush();
    values.flush();
    if (times) times->flush();
  }
};

// Reads the training ratings back and writes them by item.
void write_by_item(Hdf5File& file, const std::vector<int64_t>& of_item) {
  std::vector<int64_t> offsets(of_item.size() + 1);
  std::inclusive_scan(of_item.begin(), of_item.end(), offsets.begin() + 1);
  file.create_list<int64_t>("/train/by_item/offsets", std::ssize(offsets)).write(0, offsets);

  std::vector<int32_t> users(offsets.back());
  std::vector<float> values(offsets.back());
  const auto user_offsets = file.list<int64_t>("/train/by_user/offsets").read();
  const auto items_by_user = file.list<int32_t>("/train/by_user/columns");
  const auto values_by_user = file.list<float>("/train/by_user/values");
  std::vector<int32_t> some_items(slab);
  std::vector<float> some_values(slab);
  int32_t user = 0;
  for (int64_t first = 0; first < offsets.back(); first += slab) {
    const int64_t size = std::min(slab, offsets.back() - first);
    items_by_user.read(first, std::span(some_items).first(size));
    values_by_user.read(first, std::span(some_values).first(size));
    for (int64_t i = 0; i < size; i++) {
      while (first + i >= user_offsets[user + 1]) user++;
      const int64_t at = offsets[some_items[i]]++;
      users[at] = user;
      values[at] = some_values[i];
    }
  }
  file.create_list<int32_t>("/train/by_item/columns", std::ssize(users)).write(0, users);
  file.create_list<float>("/train/by_item/values", std::ssize(values)).write(0, values);
}

}  // namespace

SplitReport write_prepared(const std::filesystem::path& path, Interactions data, const SplitConfig& split,
                           const Provenance& provenance) {
  auto parts = divide(data.by_user(), split);
  AtomicFile atomic(path);
  auto file = Hdf5File::create(atomic.temporary());
  file.set_schema(prepared_schema, prepared_version);
  file.set_attribute("provenance", provenance.json);
  file.set_attribute("data_hash", provenance.data_hash);
  file.set_attribute("rating_min", double(data.lowest));
  file.set_attribute("rating_max", double(data.highest));
  write_ids(file, "/users/ids", data.users);
  write_ids(file, "/items/ids", data.items);

  const auto writer = [&](const char* group, Part part) {
    return PartWriter(file, group, data, std::ranges::count(parts, part));
  };
  PartWriter train = writer("/train/by_user", Part::train), test = writer("/test/by_user", Part::test),
             validation = writer("/validation/by_user", Part::validation);
  SplitReport report;
  for (int64_t user = 0; user < data.users.size(); user++) {
    for (int64_t i = data.offsets[user]; i < data.offsets[user + 1]; i++) {
      PartWriter& part = parts[i] == Part::train ? train : parts[i] == Part::test ? test : validation;
      part.add(data.ratings[i]);
      if (part.times) part.times->push_back(data.times[i]);
    }
    report.cold_users += test.of_user > 0 && train.of_user == 0;
    for (PartWriter* part : {&train, &validation, &test}) part->end_user();
  }
  for (PartWriter* part : {&train, &validation, &test}) part->finish();
  for (int64_t item = 0; item < data.items.size(); item++) {
    report.cold_items += test.of_item[item] > 0 && train.of_item[item] == 0;
  }
  report.train = train.written;
  report.validation = validation.written;
  report.test = test.written;

  data = {};
  parts = {};
  write_by_item(file, train.of_item);
  file.close();
  atomic.commit();
  return report;
}

}  // namespace sartor::datasets
