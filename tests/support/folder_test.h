// Fixture with a temporary folder per test, whose name contains Chinese.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace sartor::testing {

class FolderTest : public ::testing::Test {
 protected:
  FolderTest() : folder_(::testing::TempDir()) {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::string(test->test_suite_name()) + "." + test->name() + "-" + std::to_string(getpid());
    std::ranges::replace(name, '/', '_');
    folder_ /= name + "-文件";
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~FolderTest() override { std::filesystem::remove_all(folder_); }

  std::string path(std::string_view name) const { return folder_ / name; }

  // Writes the bytes to a file and returns its path.
  std::string write(std::string_view name, std::string_view bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }

  std::string read(const std::filesystem::path& name) const {
    std::stringstream bytes;
    bytes << std::ifstream(folder_ / name, std::ios::binary).rdbuf();
    return bytes.str();
  }

  // Sorted names of the files in the folder.
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }

  std::filesystem::path folder_;
};

// As FolderTest; the folder is also the working directory.
class WorkingFolderTest : public FolderTest {
 protected:
  WorkingFolderTest() { std::filesystem::current_path(folder_); }
  ~WorkingFolderTest() override { std::filesystem::current_path("/"); }
};

}  // namespace sartor::testing
