// Ratings written as a prepared file and read back.
#include "storage/prepared.h"

#include <hdf5.h>

#include <cmath>
#include <functional>
#include <random>

#include "datasets/interactions_support.h"
#include "interactions/write_prepared.h"
#include "storage/stored_ids.h"

namespace sartor::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

class PreparedFile : public testing::FolderTest {
 protected:
  SplitReport write(const std::string& name, const std::vector<Row>& rows, const SplitConfig& split, bool timed = true,
                    int64_t batch = 100) {
    RowSource source(rows, timed, batch);
    return write_prepared(path(name), collect(source, {}, folder_), split, {"{\"来源\": \"a.csv\"}", "c0ffee"});
  }
};

// (row, column, value) of a stored matrix, read with at most `entries` entries at a time.
using Entries = std::vector<std::tuple<int64_t, int32_t, float>>;
Entries read_all(const StoredRatings& ratings, int64_t entries) {
  Entries all;
  for (int64_t begin = 0, end; begin < ratings.rows(); begin = end) {
    end = ratings.rows_within(begin, entries);
    const auto& offsets = ratings.offsets();
    EXPECT_TRUE(offsets[end] - offsets[begin] <= entries || end == begin + 1);
    EXPECT_TRUE(end == ratings.rows() || offsets[end + 1] - offsets[begin] > entries || end == begin + 1);
    std::vector<int32_t> columns(offsets[end] - offsets[begin]);
    std::vector<float> values(columns.size());
    ratings.read(begin, end, columns, values);
    for (int64_t row = begin, i = 0; row < end; row++) {
      for (; i < offsets[row + 1] - offsets[begin]; i++) all.emplace_back(row, columns[i], values[i]);
    }
  }
  return all;
}

TEST_F(PreparedFile, HoldsWhatWasCollected) {
  const auto rows = made_rows(3001, 89, 53);
  SplitConfig split;
  split.validation = 0.1;
  const auto report = write("r.h5", rows, split);
  EXPECT_THAT(files(), ElementsAre("r.h5"));

  const auto prepared = open_prepared(path("r.h5"));
  EXPECT_EQ(prepared.provenance, "{\"来源\": \"a.csv\"}");
  EXPECT_EQ(prepared.data_hash, "c0ffee");
  RowSource source(rows, true);
  const auto data = collect(source, {}, folder_);
  EXPECT_EQ(prepared.rating_min, data.lowest);
  EXPECT_EQ(prepared.rating_max, data.highest);

  const auto users = prepared.read_user_ids(), items = prepared.read_item_ids();
  ASSERT_EQ(users.size(), prepared.users);
  ASSERT_EQ(items.size(), prepared.items);
  for (int64_t user = 0; user < users.size(); user++) EXPECT_EQ(users[user], data.users[user]);
  for (int64_t item = 0; item < items.size(); item++) EXPECT_EQ(items[item], data.items[item]);

  // Every rating, with its time, is in the part that it was assigned to and in no other.
  const auto parts = divide(data.by_user(), split);
  const auto check = [&](const StoredRatings& stored, Part part, int64_t size) {
    Entries expected;
    std::vector<int64_t> times, expected_times;
    for (int64_t user = 0; user < users.size(); user++) {
      for (int64_t i = data.offsets[user]; i < data.offsets[user + 1]; i++) {
        if (parts[i] != part) continue;
        expected.emplace_back(user, data.ratings[i].item, data.ratings[i].value);
        expected_times.push_back(data.times[i]);
      }
    }
    EXPECT_EQ(stored.size(), size);
    for (const int64_t entries : {1, 17, 100'000}) EXPECT_EQ(read_all(stored, entries), expected);
    times.resize(size);
    stored.read_times(0, stored.rows(), times);
    EXPECT_EQ(times, expected_times);
  };
  check(prepared.train, Part::train, report.train);
  check(prepared.validation, Part::validation, report.validation);
  check(prepared.test, Part::test, report.test);

  auto by_item = read_all(prepared.train_by_item, 1000);
  for (auto& [item, user, value] : by_item) {
    const auto swapped = std::tuple{int64_t(user), int32_t(item), value};
    std::tie(item, user, value) = swapped;
  }
  std::ranges::sort(by_item);
  EXPECT_EQ(by_item, read_all(prepared.train, 1000));
}

TEST_F(PreparedFile, HasTheSameBytesWhateverTheBatches) {
  const auto rows = made_rows(1009, 61, 47);
  write("a.h5", rows, {}, true, 10);
  write("b.h5", rows, {}, true, 777);
  EXPECT_TRUE(read("a.h5") == read("b.h5"));
}

TEST_F(PreparedFile, HoldsEmptyPartsAndNoTimes) {
  SplitConfig split;
  split.test = 0;
  const auto report = write("r.h5", {{"a", "x", 3}}, split, false);
  const auto prepared = open_prepared(path("r.h5"));
  EXPECT_EQ(report.train, 1);
  EXPECT_THAT(read_all(prepared.train, 5), ElementsAre(std::tuple{0, 0, 3.f}));
  EXPECT_THAT(read_all(prepared.validation, 5), IsEmpty());
  EXPECT_THAT(read_all(prepared.test, 5), IsEmpty());
  EXPECT_FALSE(prepared.train.has_times());
}

TEST_F(PreparedFile, CountsColdUsersAndItems) {
  SplitConfig split;
  split.method = SplitMethod::rows;
  split.first_test_row = 2;
  split.test_rows = 3;
  const auto report = write("r.h5", {{"a", "x"}, {"b", "y"}, {"a", "y"}, {"c", "z"}, {"d", "z"}}, split);
  EXPECT_EQ(report.test, 3);
  EXPECT_EQ(report.cold_users, 2);
  EXPECT_EQ(report.cold_items, 1);
}

TEST_F(PreparedFile, DoesNotAppearWhenWritingFails) {
  SplitConfig split;
  split.method = SplitMethod::temporal;
  EXPECT_THROW(write("r.h5", made_rows(100, 10, 10), split, /*timed=*/false), std::invalid_argument);
  EXPECT_THAT(files(), IsEmpty());
  RowSource source(made_rows(100, 10, 10), false);
  auto data = collect(source, {}, folder_);
  EXPECT_THAT([&] { write_prepared(path("none/r.h5"), std::move(data), {}, {}); },
              ThrowsMessage<std::system_error>(HasSubstr("No such file or directory")));
}

template <class T> void overwrite(const std::filesystem::path& path, const char* dataset, int64_t at, T value) {
  auto bytes_before = std::filesystem::file_size(path);
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), data = H5Dopen2(file, dataset, H5P_DEFAULT);
  const hid_t space = H5Dget_space(data), type = H5Dget_type(data);
  const hsize_t start = at, one = 1;
  const hid_t memory = H5Screate_simple(1, &one, nullptr);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, nullptr, &one, nullptr);
  ASSERT_GE(H5Dwrite(data, type, memory, space, H5P_DEFAULT, &value), 0);
  for (const hid_t id : {memory, type, space}) H5Idec_ref(id);
  H5Dclose(data);
  H5Fclose(file);
  ASSERT_GE(std::filesystem::file_size(path), bytes_before);
}

TEST_F(PreparedFile, SaysWhatHasBeenTamperedWith) {
  // 4 users x 3 items, all cells: 12 ratings, all for training.
  std::vector<Row> rows;
  for (int i = 0; i < 12; i++) rows.push_back({std::to_string(i / 3), std::to_string(i % 3), float(1 + i % 5)});
  SplitConfig split;
  split.test = 0;
  write("good.h5", rows, split);

  const auto tampered = [&](const char* dataset, int64_t at, auto value, const char* text, bool at_once) {
    std::filesystem::copy(path("good.h5"), path("bad.h5"), std::filesystem::copy_options::overwrite_existing);
    overwrite(path("bad.h5"), dataset, at, value);
    const auto read = [&] {
      const auto prepared = open_prepared(path("bad.h5"));
      if (at_once) return;
      prepared.read_item_ids();
      read_all(prepared.train, 100);
      read_all(prepared.train_by_item, 100);
    };
    EXPECT_THAT(read, ThrowsMessage<std::invalid_argument>(HasSubstr(text))) << text;
  };
  const char *offsets = "/train/by_user/offsets", *columns = "/train/by_user/columns",
             *values = "/train/by_user/values";
  tampered(offsets, 0, int64_t(1), "/train/by_user/offsets starts with 1, expected 0", true);
  tampered(offsets, 1, int64_t(7), "/train/by_user/offsets decreases from 7 to 6 after row 1", true);
  tampered(offsets, 1, int64_t(-2), "/train/by_user/offsets decreases from 0 to -2 after row 0", true);
  tampered(offsets, 4, int64_t(13), "/train/by_user/columns has 12 entries, the offsets say 13", true);
  tampered(offsets, 4, int64_t(1) << 60, "/train/by_user/columns has 12 entries, the offsets say", true);
  tampered(columns, 2, int32_t(3), "/train/by_user/columns: row 0 has 3 after 1, expected ascending numbers below 3",
           false);
  tampered(columns, 3, int32_t(-1), "/train/by_user/columns: row 1 has -1 after -1", false);
  tampered(columns, 4, int32_t(0), "/train/by_user/columns: row 1 has 0 after 0", false);
  tampered(values, 5, NAN, "/train/by_user/values: row 1 has nan, expected 1 to 5", false);
  tampered(values, 5, 5.5f, "/train/by_user/values: row 1 has 5.5, expected 1 to 5", false);
  tampered("/train/by_item/columns", 0, int32_t(4), "/train/by_item/columns: row 0 has 4 after -1", false);
  const char* twin = "1";
  tampered("/items/ids", 2, twin, "/items/ids: \"1\" occurs at 1 and 2", false);
}

// Files with datasets that are valid but inconsistent with each other.
TEST_F(PreparedFile, SaysWhichPartsDoNotFit) {
  struct Form {
    std::string schema = prepared_schema;
    int64_t version = prepared_version;
    double lowest = 1, highest = 5;
    int64_t users = 2, by_user = 3, by_item = 3;
    bool test = true;
  };
  const auto write_form = [&](const Form& form) {
    auto file = Hdf5File::create(path("r.h5"));
    file.set_schema(form.schema, form.version);
    file.set_attribute("rating_min", form.lowest);
    file.set_attribute("rating_max", form.highest);
    file.set_attribute("provenance", std::string("{}"));
    file.set_attribute("data_hash", std::string("0"));
    IdMap users("users"), items("items");
    for (int64_t user = 0; user < form.users; user++) users.insert(std::to_string(user));
    items.insert("x");
    write_ids(file, "/users/ids", users);
    write_ids(file, "/items/ids", items);
    const auto write_matrix = [&](const std::string& group, std::vector<int64_t> offsets) {
      file.create_list<int64_t>(group + "/offsets", std::ssize(offsets)).write(0, offsets);
      file.create_list<int32_t>(group + "/columns", offsets.back()).write(0, std::vector<int32_t>(offsets.back()));
      file.create_list<float>(group + "/values", offsets.back()).write(0, std::vector<float>(offsets.back()));
    };
    write_matrix("/train/by_user", {0, 1, form.by_user});
    write_matrix("/train/by_item", {0, form.by_item});
    write_matrix("/validation/by_user", {0, 0, 0});
    if (form.test) write_matrix("/test/by_user", {0, 0, 0});
    file.close();
  };
  write_form({});
  EXPECT_EQ(open_prepared(path("r.h5")).train.size(), 3);
  const auto refused = [&](const Form& form, const char* text) {
    write_form(form);
    EXPECT_THAT([&] { open_prepared(path("r.h5")); }, ThrowsMessage<std::invalid_argument>(HasSubstr(text))) << text;
  };
  refused({.schema = "sartor.factors"}, "r.h5: schema is sartor.factors, expected sartor.prepared");
  refused({.version = 2}, "sartor.prepared has schema_version 2, this program reads version 1");
  refused({.lowest = 6}, "rating_min 6 and rating_max 5 are not a valid range");
  refused({.highest = NAN}, "rating_min 1 and rating_max nan are not a valid range");
  refused({.users = 3}, "/train/by_user/offsets has 3 entries, expected 4");
  refused({.by_item = 2}, "3 training ratings by user, 2 by item");
  refused({.test = false}, "/test/by_user/columns is missing");
}

// A file that is truncated or has any byte changed is read or rejected with a one-line message. Runs in a separate
// process, because HDF5 leaks memory on some of these files.
TEST_F(PreparedFile, SurvivesDamage) {
  write("good.h5", made_rows(40, 9, 7), {});
  const std::string good = read("good.h5");
  const auto can_read = [&](const std::string& bytes) {
    std::filesystem::remove(path("bad.h5"));
    std::ofstream(path("bad.h5"), std::ios::binary) << bytes;
    try {
      const auto prepared = open_prepared(path("bad.h5"));
      prepared.read_user_ids();
      prepared.read_item_ids();
      read_all(prepared.train, 100);
      read_all(prepared.test, 100);
      read_all(prepared.train_by_item, 100);
      return true;
    } catch (const std::exception& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      return false;
    }
  };
  const auto read_damaged = [&] {
    EXPECT_TRUE(can_read(good));
    for (size_t size = 0; size < good.size(); size += 97) EXPECT_FALSE(can_read(good.substr(0, size))) << size;
    std::mt19937 random(1);
    for (int trial = 0; trial < 2000; trial++) {
      std::string bad = good;
      bad[random() % bad.size()] ^= char(1 + random() % 255);
      can_read(bad);
    }
    _exit(HasFailure());
  };
  EXPECT_EXIT(read_damaged(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace sartor::datasets
