#include "storage/hdf5_file.h"

#include <hdf5.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <functional>
#include <numeric>
#include <system_error>

#include "datasets/interactions_support.h"

namespace sartor::datasets {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

class Hdf5Files : public testing::FolderTest {
 protected:
  template <class T> void round_trip() {
    std::vector<T> values(37 * 5);
    std::iota(values.begin(), values.end(), T(3));
    const std::span<const T> all(values);
    const auto list_name = "/deep/list" + std::to_string(int(hdf5_type<T>)), matrix_name = list_name + "m";
    auto file = Hdf5File::create(path("a.h5"));
    auto list = file.create_list<T>(list_name, 185);
    list.write(100, all.subspan(100));
    list.write(0, all.first(100));
    auto matrix = file.create_matrix<T>(matrix_name, 37, 5);
    matrix.write(0, all.first(55));
    matrix.write(11, all.subspan(55));
    file.close();

    const auto opened = Hdf5File::open(path("a.h5"));
    EXPECT_EQ(opened.list<T>(list_name).read(), values);
    EXPECT_EQ(opened.matrix<T>(matrix_name).read(), values);
    EXPECT_EQ(opened.matrix<T>(matrix_name).columns(), 5);
    for (const auto& [first, count] : {std::pair{0, 1}, {7, 13}, {36, 1}, {37, 0}}) {
      std::vector<T> rows(count * 5);
      opened.matrix<T>(matrix_name).read(first, rows);
      EXPECT_TRUE(std::ranges::equal(rows, all.subspan(first * 5, count * 5)));
    }
  }
};

TEST_F(Hdf5Files, KeepNumbers) {
  round_trip<float>();
  round_trip<double>();
  round_trip<int32_t>();
  round_trip<int64_t>();
  round_trip<uint8_t>();
}

TEST_F(Hdf5Files, KeepEmptyShapes) {
  auto file = Hdf5File::create(path("a.h5"));
  file.create_list<float>("none", 0);
  file.create_matrix<float>("narrow", 7, 0);
  file.create_strings("silent", 0);
  file.close();
  const auto opened = Hdf5File::open(path("a.h5"));
  EXPECT_THAT(opened.list<float>("none").read(), IsEmpty());
  EXPECT_THAT(opened.matrix<float>("narrow").read(), IsEmpty());
  EXPECT_EQ(opened.matrix<float>("narrow").rows(), 7);
  EXPECT_THAT(opened.strings("silent").read(0, 0), IsEmpty());
}

TEST_F(Hdf5Files, KeepStrings) {
  const std::vector<std::string> strings = {
      "", "我喜欢吃苹果", "a 用户\n", "\xff\xfe broken", std::string(100'000, 'x'), "end"};
  const std::vector<std::string_view> views(strings.begin(), strings.end());
  auto file = Hdf5File::create(path("a.h5"));
  auto written = file.create_strings("/users/ids", 6);
  written.write(4, std::span(views).subspan(4));
  written.write(0, std::span(views).first(4));
  const std::string_view zero("a\0b", 3);
  EXPECT_THAT([&] { written.write(0, std::span(&zero, 1)); },
              ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("/users/ids"), HasSubstr("zero byte"))));
  file.close();
  const auto opened = Hdf5File::open(path("a.h5"));
  EXPECT_EQ(opened.strings("/users/ids").read(0, 6), strings);
  EXPECT_THAT(opened.strings("/users/ids").read(1, 1), ElementsAre("我喜欢吃苹果"));
}

TEST_F(Hdf5Files, KeepAttributes) {
  auto file = Hdf5File::create(path("a.h5"));
  file.set_schema("sartor.test", 3);
  file.set_attribute("mean", 3.25);
  file.set_attribute("provenance", "{\"名\": 1}" + std::string(200'000, ' '));
  file.close();
  const auto opened = Hdf5File::open(path("a.h5"));
  opened.require_schema("sartor.test", 3);
  EXPECT_EQ(opened.int_attribute("schema_version"), 3);
  EXPECT_EQ(opened.double_attribute("mean"), 3.25);
  EXPECT_EQ(opened.string_attribute("provenance"), "{\"名\": 1}" + std::string(200'000, ' '));
}

// Writes objects that Hdf5File never writes, with HDF5 itself.
void make_strange_file(const std::filesystem::path& path) {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hsize_t few = 4, many = hsize_t(1) << 60, cube[] = {2, 2, 2};
  const hid_t small = H5Screate_simple(1, &few, nullptr), large = H5Screate_simple(1, &many, nullptr);
  const hid_t solid = H5Screate_simple(3, cube, nullptr);
  const auto create = [&](const char* name, hid_t type, hid_t space, hid_t layout) {
    H5Dclose(H5Dcreate2(file, name, type, space, H5P_DEFAULT, layout, H5P_DEFAULT));
  };
  const hid_t external = H5Pcreate(H5P_DATASET_CREATE), packed = H5Pcreate(H5P_DATASET_CREATE),
              fixed = H5Tcopy(H5T_C_S1);
  H5Pset_external(external, "/etc/passwd", 0, 16);
  const hsize_t chunk = hsize_t(1) << 20;
  H5Pset_chunk(packed, 1, &chunk);
  H5Pset_deflate(packed, 1);
  H5Tset_size(fixed, 8);
  create("external", H5T_NATIVE_FLOAT, small, external);
  create("never written", H5T_NATIVE_FLOAT, small, H5P_DEFAULT);
  create("huge", H5T_NATIVE_FLOAT, large, packed);
  create("cube", H5T_NATIVE_FLOAT, solid, H5P_DEFAULT);
  create("fixed", fixed, small, H5P_DEFAULT);
  create("unsigned", H5T_NATIVE_UINT32, small, H5P_DEFAULT);
  create("reversed", H5T_IEEE_F32BE, small, H5P_DEFAULT);
  H5Fclose(file);
}

TEST_F(Hdf5Files, SayWhatIsWrong) {
  {
    auto file = Hdf5File::create(path("a.h5"));
    file.set_schema("sartor.test", 3);
    file.create_list<float>("/list", 4).write(0, std::vector<float>{1, 2, 3, 4});
    const std::string_view id = "x";
    file.create_strings("/strings", 1).write(0, std::span(&id, 1));
    file.create_list<float>("/group/list", 0);
  }
  make_strange_file(path("a.h5"));
  std::ofstream(path("text.h5")) << "user,item\n1,2\n";
  std::ofstream(path("empty.h5"));
  std::ofstream(path("short.h5")) << read("a.h5").substr(0, 3000);

  const auto file = Hdf5File::open(path("a.h5"));
  std::vector<float> room(4);
  const std::vector<std::pair<std::function<void()>, std::string>> cases = {
      {[&] { file.list<int32_t>("/list"); }, "a.h5: /list is 1-d float32, expected 1-d int32"},
      {[&] { file.matrix<float>("/list"); }, "a.h5: /list is 1-d float32, expected 2-d float32"},
      {[&] { file.list<float>("/strings"); }, "/strings is 1-d string, expected 1-d float32"},
      {[&] { file.strings("/fixed"); }, "/fixed is 1-d something else, expected 1-d string"},
      {[&] { file.list<float>("/cube"); }, "/cube is 3-d float32, expected 1-d float32"},
      {[&] { file.list<int32_t>("/unsigned"); }, "/unsigned is 1-d unsupported uint32, expected 1-d int32"},
      {[&] { file.list<float>("/reversed"); }, "/reversed is 1-d unsupported float32, expected 1-d float32"},
      {[&] { file.list<float>("/no/such"); }, "/no/such is missing"},
      {[&] { file.list<float>("/group"); }, "/group is not a dataset"},
      {[&] { file.list<float>("/external"); }, "/external has values outside the file"},
      {[&] { file.list<float>("/never written"); }, "/never written claims 4 x 1 values, its 0 bytes hold at most 0"},
      {[&] { file.list<float>("/huge"); }, "/huge claims 1152921504606846976 x 1 values"},
      {[&] { file.list<float>("/list").read(1, room); }, "/list: rows 1 to 4 requested, there are 4"},
      {[&] { file.list<float>("/list").read(-1, room); }, "/list: rows -1 to 2 requested"},
      {[&] { file.strings("/strings").read(0, 2); }, "/strings: rows 0 to 1 requested, there are 1"},
      {[&] { file.int_attribute("mean"); }, "attribute mean is missing"},
      {[&] { file.int_attribute("schema"); }, "attribute schema holds 1 string, expected one int64"},
      {[&] { file.double_attribute("schema"); }, "expected one float64"},
      {[&] { file.string_attribute("schema_version"); }, "attribute schema_version holds 1 int64, expected one string"},
      {[&] { file.require_schema("sartor.factors", 3); }, "a.h5: schema is sartor.test, expected sartor.factors"},
      {[&] { file.require_schema("sartor.test", 1); },
       "sartor.test has schema_version 3, this program reads version 1"},
      {[&] { Hdf5File::open(path("none.h5")); }, "none.h5: no such file"},
      {[&] { Hdf5File::open(folder_); }, "is a folder, expected an HDF5 file"},
      {[&] { Hdf5File::open(path("text.h5")); }, "text.h5 is not a readable HDF5 file: file signature not found"},
      {[&] { Hdf5File::open(path("empty.h5")); }, "empty.h5 is not a readable HDF5 file"},
      {[&] { Hdf5File::open(path("short.h5")); }, "short.h5 is not a readable HDF5 file: truncated file"}};
  for (const auto& [call, text] : cases)
    EXPECT_THAT(call, ThrowsMessage<std::invalid_argument>(HasSubstr(text))) << text;

  auto matrix = Hdf5File::create(path("b.h5")).create_matrix<float>("/m", 4, 3);
  EXPECT_THAT([&] { matrix.write(0, room); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("4 values are not a multiple of 3 columns")));
  EXPECT_THAT([&] { Hdf5File::create(path("none/b.h5")); },
              ThrowsMessage<std::system_error>(HasSubstr("none/b.h5 cannot be created: No such file or directory")));
}

// Must run before other code that uses Hdf5File in this process, which disables external links.
TEST_F(Hdf5Files, DoNotFollowLinksToOtherFiles) {
  const hid_t other = H5Fcreate(path("other.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const float values[] = {1, 2, 3, 4};
  const hsize_t size = 4;
  const hid_t space = H5Screate_simple(1, &size, nullptr);
  const hid_t list = H5Dcreate2(other, "list", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Dwrite(list, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
  H5Dclose(list);
  H5Sclose(space);
  H5Fclose(other);
  const hid_t file = H5Fcreate(path("a.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_external(path("other.h5").c_str(), "/list", file, "link", H5P_DEFAULT, H5P_DEFAULT);
  H5Fclose(file);
  EXPECT_THAT([&] { Hdf5File::open(path("a.h5")).list<float>("/link"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("/link is not a dataset")));
}

TEST_F(Hdf5Files, CheckTheHeapOfStrings) {
  std::vector<std::string> texts(100, "short");
  texts[99] = std::string(10'000, 'x');
  const std::vector<std::string_view> strings(texts.begin(), texts.end());
  auto file = Hdf5File::create(path("good.h5"));
  auto dataset = file.create_strings("/ids", 100);
  dataset.write(0, strings);
  file.close();
  const std::string good = read("good.h5");
  const size_t heap = good.find("GCOL"), object = good.find("xxxxxxxx") - 16;
  std::string prefix(12, '\0');  // size and heap address in the reference to the long string
  for (int i = 0; i < 4; i++) prefix[i] = char(10'000 >> 8 * i), prefix[4 + i] = char(heap >> 8 * i);
  const size_t reference = good.find(prefix);
  ASSERT_NE(reference, good.npos);

  const auto refused = [&](const std::pair<size_t, std::string>& patch, const char* text) {
    std::string bad = good;
    bad.replace(patch.first, patch.second.size(), patch.second);
    std::ofstream(path("bad.h5"), std::ios::binary) << bad;
    EXPECT_THAT([&] { Hdf5File::open(path("bad.h5")).strings("/ids").read(0, 100); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  };
  const std::string huge(7, '\x7f');
  refused({heap, "GONE"}, "bad.h5: /ids: the heap of strings at");
  refused({heap + 8, huge}, "is damaged");
  refused({object + 8, huge}, "is damaged");
  refused({reference + 4, huge}, "is damaged");
  refused({object, huge.substr(5)}, "no string of 10000 bytes with the index");
  refused({reference + 12, huge.substr(4)}, "no string of 10000 bytes with the index 8355711 in the heap at");
  refused({reference, huge.substr(4)}, "no string of 8355711 bytes with the index");
  std::string all;
  for (int i = 0; i < 100; i++) all += good.substr(reference, 16);
  refused({reference - 99 * 16, all}, "/ids: the strings are longer than the file");

  const hid_t form = H5Pcreate(H5P_FILE_CREATE), type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
  H5Pset_userblock(form, 512);
  H5Tset_size(type, H5T_VARIABLE);
  const hid_t shifted = H5Fcreate(path("bad.h5").c_str(), H5F_ACC_TRUNC, form, H5P_DEFAULT);
  H5Aclose(H5Acreate2(shifted, "schema", type, space, H5P_DEFAULT, H5P_DEFAULT));
  for (const hid_t id : {form, type, space}) H5Idec_ref(id);
  H5Fclose(shifted);
  EXPECT_THAT([&] { Hdf5File::open(path("bad.h5")).string_attribute("schema"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("strings cannot be read from files with a user block")));
}

// Simulates a disk that becomes full after a number of bytes, at every stage of writing a small file, including close.
// Each case runs in a separate process, because HDF5 keeps the memory of a file that cannot be closed.
TEST_F(Hdf5Files, TellOfAFullDisk) {
  const auto write = [&] {
    auto file = Hdf5File::create(path("full.h5"));
    file.set_schema("sartor.test", 1);
    const std::vector<std::string_view> ids(500, "小明");
    file.create_strings("/ids", 500).write(0, ids);
    file.create_list<float>("/values", 5000).write(0, std::vector<float>(5000, 1));
    file.close();
  };
  const auto write_at_most = [&](rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, bytes};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write();
    } catch (const std::system_error& error) {
      fputs(error.what(), stderr);
      _exit(2);
    }
    _exit(0);
  };
  write();
  EXPECT_THAT(Hdf5File::open(path("full.h5")).list<float>("/values").read(), Each(1));
  const auto size = std::filesystem::file_size(path("full.h5"));
  for (rlim_t bytes = 500; bytes < size; bytes += 997) {
    EXPECT_EXIT(write_at_most(bytes), ::testing::ExitedWithCode(2), "full.h5.*File too large") << bytes;
  }
  EXPECT_EXIT(write_at_most(size), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace sartor::datasets
