#include "resume/claimed_folder.h"

#include <system_error>
#include <utility>

namespace sartor {
namespace {

namespace fs = std::filesystem;

fs::path without_final_slash(const fs::path& name) { return name.has_filename() ? name : name.parent_path(); }

}  // namespace

ClaimedFolder::ClaimedFolder(const fs::path& name)
    : name_(without_final_slash(name)), parents_({name_}), path_(name_) {}

// Delegates to the other constructor, so that the destructor runs if this body throws.
ClaimedFolder::ClaimedFolder(const fs::path& name, Claim claim, fs::path shown) : ClaimedFolder(name) {
  if (fs::exists(name_)) locks_.emplace_back(name_, shown);
  if (claim == Claim::resume) return;

  const auto aside = aside_of(name_);
  fs::create_directories(aside);
  locks_.emplace_back(aside, shown);
  path_ = aside;
  for (const auto& entry : fs::directory_iterator(path_)) {  // left by a killed process
    if (entry.path().filename() != ".lock") fs::remove_all(entry.path());
  }
}

ClaimedFolder::~ClaimedFolder() {
  std::error_code ignored;
  if (path_ != name_) fs::remove_all(path_, ignored);
}

fs::path ClaimedFolder::aside_of(const fs::path& name) {
  const auto folder = without_final_slash(name);
  return folder.parent_path() / ("." + folder.filename().string() + ".partial");
}

void ClaimedFolder::publish(const std::function<void(const fs::path& old)>& make_room) {
  if (path_ == name_) return;
  if (locks_.size() == 2) make_room(name_);
  datasets::rename_folder(path_, name_);
  path_ = name_;
  locks_.erase(locks_.begin(), locks_.end() - 1);
}

void ClaimedFolder::retire() {
  const auto aside = aside_of(name_);
  fs::remove_all(aside);
  fs::rename(path_, aside);
  path_ = aside;
}

}  // namespace sartor
