// No task overwrites a file that it reads or writes for another purpose; each task removes outdated files of earlier
// runs.
#include <map>

#include <fmt/format.h>

#include "integration/fixture.h"
#include "support/bert_folders.h"

namespace sartor::testing {
namespace {

using ::testing::HasSubstr;

struct Case {
  const char* program;
  const char* config;
  std::vector<const char*> changes;
  const char* said;
};

constexpr const char* prepare = "task: prepare\nsource: {path: r.csv}\noutput: out.h5\n";
constexpr const char* tokenize =
    "task: tokenize\ndata: {label: {kind: none}, sources: [{path: r.csv}, {path: s.csv}]}\ntokenizer: 模型\noutput: "
    "out.h5\n";
constexpr const char* vocabulary =
    "task: vocabulary\ndata: {label: {kind: none}, sources: [{path: r.csv}, {path: s.csv}]}\noutput: out\n";
constexpr const char* factorize = "task: factorize\ndata: {path: data.h5}\noutput: out\n";
constexpr const char* pretrain = "task: pretrain\ndata: {path: data.h5}\nmodel: {path: 模型}\noutput: out\n";
constexpr const char* classify = "task: classify\ndata: {path: data.h5}\nmodel: {path: 模型}\noutput: out\n";
constexpr const char* recommend =
    "task: recommend\nmodel: 模型\nusers: {path: r.csv, column: user}\nallow: {path: s.csv, column: item}\n"
    "deny: {path: 'parts/a*.csv', column: item}\nnew_users: {path: 'parts/b*.csv'}\nitems: {path: t.csv}\n"
    "output: out.csv\n";
constexpr const char* similar =
    "task: similar\nmodel: 模型\nqueries: {path: r.csv, column: id}\nallow: {path: t.csv, column: id}\n"
    "deny: {path: 'parts/a*.csv', column: id}\nitems: {path: s.csv}\noutput: out.csv\n";
constexpr const char* score = "task: classify\nmodel: 模型\nsource: {path: r.csv}\noutput: out.csv\n";
constexpr const char* embed = "task: embed\nmodel: 模型\nsource: {path: r.csv}\noutput: out.h5\n";

const std::vector<Case> cases = {
    {"sartor-train", prepare, {"output=r.csv"}, "r.csv is both read and written"},
    {"sartor-train", prepare, {"output=parts/../r.csv"}, "r.csv is both read and written"},
    {"sartor-train", prepare, {"output=link.csv"}, "r.csv is both read and written, as link.csv"},
    {"sartor-train", prepare, {"output=hard.csv"}, "r.csv is both read and written, as hard.csv"},
    {"sartor-train", prepare, {"source.path=parts/*.csv", "output=parts/a1.csv"}, "parts/a1.csv is both read and"},
    {"sartor-train", prepare, {"output=config.yaml"}, "config.yaml is both the config and written"},
    {"sartor-train", prepare, {"rejects=r.csv"}, "r.csv is both read and written"},
    {"sartor-train", prepare, {"rejects=out.h5"}, "out.h5 would be written twice"},
    {"sartor-train", prepare, {"source.path=out.h5.rejects.tsv"}, "out.h5.rejects.tsv is both read and written"},
    {"sartor-train", prepare, {"source.path=.out.h5.partial-1"}, "out.h5, which would be written, takes its place"},
    {"sartor-train", prepare, {"output=/dev/null"}, "/dev/null is a device, expected a file to write"},
    {"sartor-train", prepare, {"output=parts"}, "parts is a folder, expected a file to write"},
    {"sartor-train", tokenize, {"output=s.csv"}, "s.csv is both read and written"},
    {"sartor-train", tokenize, {"rejects=r.csv"}, "r.csv is both read and written"},
    {"sartor-train", tokenize, {"output=模型/vocab.txt"}, "would be written into 模型, which is read"},
    {"sartor-train", tokenize, {"tokenizer=模型/vocab.txt", "output=模型/vocab.txt"}, "both read and written"},
    {"sartor-train", vocabulary, {"output=s.csv"}, "s.csv is both read and written"},
    {"sartor-train", vocabulary, {"data.sources=[{path: parts/a1.csv}]", "output=parts"}, "takes its place"},
    {"sartor-train", vocabulary, {"rejects=r.csv"}, "r.csv is both read and written"},
    {"sartor-train", vocabulary, {"rejects=out/r.tsv"}, "out/r.tsv would be written into out, which is written too"},
    {"sartor-train", factorize, {"output=data.h5"}, "data.h5 is both read and written"},
    {"sartor-train", factorize, {"data.path=模型/data.h5", "output=模型"}, "takes its place"},
    {"sartor-train", factorize, {"output=r.csv"}, "r.csv is a file, expected a folder to write"},
    {"sartor-train", pretrain, {"output=data.h5"}, "data.h5 is both read and written"},
    {"sartor-train", pretrain, {"output=模型/run"}, "模型/run would be written into 模型, which is read"},
    {"sartor-train", classify, {"output=模型"}, "模型 is both read and written"},
    {"sartor-train", classify, {"model.path=run/model", "output=run"}, "takes its place"},
    {"sartor-infer", recommend, {"output=r.csv"}, "r.csv is both read and written"},
    {"sartor-infer", recommend, {"output=s.csv"}, "s.csv is both read and written"},
    {"sartor-infer", recommend, {"output=t.csv"}, "t.csv is both read and written"},
    {"sartor-infer", recommend, {"output=parts/a1.csv"}, "parts/a1.csv is both read and written"},
    {"sartor-infer", recommend, {"output=parts/b1.csv"}, "parts/b1.csv is both read and written"},
    {"sartor-infer", recommend, {"output=模型/lists.csv"}, "模型/lists.csv would be written into 模型, which is read"},
    {"sartor-infer", recommend, {"output=config.yaml"}, "config.yaml is both the config and written"},
    {"sartor-infer", similar, {"output=r.csv"}, "r.csv is both read and written"},
    {"sartor-infer", similar, {"output=link.csv"}, "r.csv is both read and written, as link.csv"},
    {"sartor-infer", similar, {"output=s.csv"}, "s.csv is both read and written"},
    {"sartor-infer", similar, {"output=t.csv"}, "t.csv is both read and written"},
    {"sartor-infer", similar, {"output=parts/a1.csv"}, "parts/a1.csv is both read and written"},
    {"sartor-infer", similar, {"model=data.h5", "output=data.h5"}, "data.h5 is both read and written"},
    {"sartor-infer", score, {"output=r.csv"}, "r.csv is both read and written"},
    {"sartor-infer", score, {"rejects=r.csv"}, "r.csv is both read and written"},
    {"sartor-infer", score, {"rejects=out.csv"}, "out.csv would be written twice"},
    {"sartor-infer", score, {"source.path=out.csv.parts/part-000000.csv"}, "takes its place"},
    {"sartor-infer", score, {"source.path=parts/*.csv", "output=parts/a1.csv"}, "parts/a1.csv is both read and"},
    {"sartor-infer", embed, {"output=模型/e.h5"}, "模型/e.h5 would be written into 模型, which is read"},
    {"sartor-infer", embed, {"source.path=link.csv", "rejects=r.csv"}, "link.csv is both read and written, as r.csv"},
    {"sartor-infer", embed, {"output=/dev/full"}, "/dev/full is a device, expected a file to write"}};

class Outputs : public Programs {
 protected:
  Outputs() {
    std::filesystem::current_path(folder_);
    for (const char* name : {"parts", "模型", "run/model", "out.csv.parts"}) std::filesystem::create_directories(name);
    for (const char* name :
         {"r.csv", "s.csv", "t.csv", "parts/a1.csv", "parts/b1.csv", "data.h5", "模型/data.h5", "模型/vocab.txt",
          "run/model/config.json", "out.csv.parts/part-000000.csv", "out.h5.rejects.tsv", ".out.h5.partial-1"}) {
      write(name, "user,item,value,text\nu,i,3,好\n");
    }
    std::filesystem::create_symlink("r.csv", "link.csv");
    std::filesystem::create_hard_link("r.csv", "hard.csv");
  }
  ~Outputs() override { std::filesystem::current_path("/"); }

  std::map<std::string, std::string> contents() const {
    std::map<std::string, std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
      found[entry.path()] = entry.is_regular_file() ? read(entry.path()) : "";
    }
    return found;
  }
};

TEST_F(Outputs, AreRefusedWhereTheyAreInTheWay) {
  for (const auto& [program, config, changes, said] : cases) {
    write("config.yaml", config);
    std::vector<std::string> words = {sartor::testing::program(program), "--config", "config.yaml", "--overwrite"};
    for (const char* change : changes) words.insert(words.end(), {"--set", change});
    SCOPED_TRACE(::testing::PrintToString(words));
    const auto before = contents();
    const Outcome outcome = run_command(words);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(said));
    EXPECT_EQ(contents(), before);
  }
}

class NewFolders : public Programs {};

TEST_F(NewFolders, AreMadeForOutputs) {
  write_ratings();
  write("文.csv", "text\n好\n");
  write_bert_folder(path("model"), small_bert());
  const auto in = [](std::string config, const std::string& name) {
    return config.replace(config.find(name), name.size(), "新/deep/" + name);
  };
  expect_done(train(in(prepare_config, "prepared.h5"), {"--set", "rejects=" + path("拒/r.tsv")}));
  expect_done(train(in(factorize_config, "prepared.h5")));
  expect_done(infer(in(recommend_config, "lists.csv")));
  expect_done(infer("task: similar\ndevice: cpu\nmodel: FOLDER/run\nk: 3\noutput: FOLDER/近/near.csv\n"));
  expect_done(
      infer("task: embed\ndevice: cpu\nmodel: FOLDER/model\nsource: {path: FOLDER/文.csv}\n"
            "output: FOLDER/向量/e.h5\nrejects: FOLDER/拒/e.tsv\n"));
  for (const char* made : {"新/deep/prepared.h5", "新/deep/lists.csv", "近/near.csv", "向量/e.h5"}) {
    EXPECT_TRUE(std::filesystem::exists(path(made))) << made;
  }
  EXPECT_FALSE(std::filesystem::exists(path("拒"))) << "nothing was rejected";
}

class EarlierRuns : public Programs {
 protected:
  int64_t partials() const {
    return std::ranges::count_if(files(), [](const auto& name) { return name.find(".partial-") != name.npos; });
  }

  // The task rejects a row of `source` in the first run and none in the second, after the row was fixed.
  void rejects_go(const std::string& program, const std::string& config, const std::string& source,
                  const std::string& row, const std::string& rejects) {
    SCOPED_TRACE(config);
    const auto rows = read(source);
    write(source, rows + row);
    expect_done(run_command(command(program, config)));
    EXPECT_THAT(read(rejects), HasSubstr(path(source)));
    write(source, rows);
    expect_done(run_command(command(program, config, {"--overwrite"})));
    EXPECT_FALSE(std::filesystem::exists(path(rejects)));
  }
};

TEST_F(EarlierRuns, LeaveNoPartialFiles) {
  write_ratings();
  const auto killed = command("sartor-train", prepare_config);
  const auto calls = count_calls(killed, folder_);
  std::filesystem::remove(path("prepared.h5"));
  for (const int64_t at : {calls / 3, calls / 2}) {  // while the output is written
    EXPECT_EQ(run_with_fault(killed, folder_, at, Fault::kill_before).status, 137);
  }
  EXPECT_GT(partials(), 0);
  write(".prepared.h5.partial-" + std::to_string(getpid()), "of one that is still running");
  expect_done(train(prepare_config));
  EXPECT_EQ(partials(), 1);
}

TEST_F(EarlierRuns, LeaveNoRejects) {
  write_ratings();
  rejects_go("sartor-train", prepare_config, "ratings.csv", "u,i,much,1\n", "prepared.h5.rejects.tsv");
  write_bert_folder(path("model"), small_bert());
  std::string lines = "text,label\n";
  for (int row = 0; row < 50; row++) lines += fmt::format("好 good {},{}\n", row, row % 2);
  write("文.csv", lines);
  const std::string data = "data: {sources: [{path: FOLDER/文.csv}], label: {column: label}}\n";
  rejects_go("sartor-train", "task: tokenize\n" + data + "tokenizer: FOLDER/model\noutput: FOLDER/texts.h5\n", "文.csv",
             ",1\n", "texts.h5.rejects.tsv");
  rejects_go("sartor-train", "task: vocabulary\n" + data + "output: FOLDER/词\n", "文.csv", ",1\n", "词.rejects.tsv");
  rejects_go("sartor-infer",
             "task: embed\ndevice: cpu\nmodel: FOLDER/model\nsource: {path: FOLDER/文.csv}\noutput: FOLDER/e.h5\n",
             "文.csv", ",1\n", "e.h5.rejects.tsv");
  expect_done(train(factorize_config));
  write("new.csv", "user,item,rating\n新用户,i3,5\n");
  rejects_go("sartor-infer",
             recommend_config +
                 std::string("new_users: {path: FOLDER/new.csv, columns: {user: user, item: item, value: rating}}\n"),
             "new.csv", "新用户,i4,much\n", "lists.csv.rejects.tsv");
}

}  // namespace
}  // namespace sartor::testing
