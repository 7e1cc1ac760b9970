using Isthmus.Core.Flags;
using Xunit;

namespace Isthmus.Tests.Flags;

public sealed class FlagSetTests
{
    private static readonly Flag<string> File = Flag.Text("--file", "FILE", "default", "-f");
    private static readonly Flag<int> Port = Flag.Port("--port", 80), FreePort = Flag.Port("--free-port", 1, lowest: 0),
        Count = Flag.PositiveNumber("--count", 3);
    private static readonly Flag<bool> Full = Flag.Switch("--full-sync");
    private static readonly FlagSet Set = new("isthmus test",
        [File, Port, FreePort, Count, Full, .. Flag.Ignored("--oldValue"), .. Flag.IgnoredSwitches("--oldSwitch")]) { MaxWords = 1 };

    [Fact]
    public void Without_flags_there_are_the_defaults()
    {
        var values = Set.Read([]);
        Assert.Equal(("default", 80, 3, false), (values.Get(File), values.Get(Port), values.Get(Count), values.Get(Full)));
        Assert.Equal(8080, values.Get(Port, 8080));
        Assert.Empty(values.Words);
    }

    [Theory]
    [InlineData("--file=a --port=1 --full-sync word")]
    [InlineData("--file a word --port 1 --full-sync=true")]
    [InlineData("word -f a --port 1 --full-sync")]
    [InlineData("-f=first --full-sync=false -f a --port 65535 --port 1 word --full-sync")]
    [InlineData("--oldValue x --oldSwitch word --oldValue=y -f a --port 1 --full-sync")]
    public void A_value_follows_in_the_same_word_or_the_next_and_the_last_one_counts(string line)
    {
        var values = Set.Read(line.Split(' '));
        Assert.Equal(("a", 1, true), (values.Get(File), values.Get(Port), values.Get(Full)));
        Assert.Equal(1, values.Get(Port, 8080));
        Assert.Equal(["word"], values.Words);
    }

    [Fact]
    public void Values_may_be_empty_contain_equals_signs_and_look_like_flags()
    {
        Assert.Equal("", Set.Read(["--file", ""]).Get(File));
        Assert.Equal("", Set.Read(["--file="]).Get(File));
        Assert.Equal("a=b=c", Set.Read(["--file=a=b=c"]).Get(File));
        Assert.Equal("--port", Set.Read(["--file", "--port"]).Get(File));
        Assert.Equal(["-"], Set.Read(["-"]).Words);
    }

    [Theory]
    [InlineData("--ful-sync", "isthmus test: unknown flag --ful-sync (did you mean --full-sync?)")]
    [InlineData("--PORT=1", "isthmus test: unknown flag --PORT (did you mean --port?)")]
    [InlineData("--oldvalue", "isthmus test: unknown flag --oldvalue (did you mean --oldValue?)")]
    [InlineData("-x", "isthmus test: unknown flag -x (known flags: --file FILE, --port PORT, --free-port PORT, --count N, --full-sync)")]
    [InlineData("--something=1", "isthmus test: unknown flag --something (known flags: --file FILE, --port PORT, --free-port PORT, --count N, --full-sync)")]
    [InlineData("--full-sync --port", "isthmus test: flag --port needs a value (write --port PORT)")]
    [InlineData("-f", "isthmus test: flag -f needs a value (write -f FILE)")]
    [InlineData("--port 0", "isthmus test: --port: invalid value '0' (expected a port number from 1 to 65535)")]
    [InlineData("--port 65536", "isthmus test: --port: invalid value '65536' (expected a port number from 1 to 65535)")]
    [InlineData("--free-port=-1", "isthmus test: --free-port: invalid value '-1' (expected a port number from 0 to 65535)")]
    [InlineData("--port=+1", "isthmus test: --port: invalid value '+1' (expected a port number from 1 to 65535)")]
    [InlineData("--count 0", "isthmus test: --count: invalid value '0' (expected a positive whole number)")]
    [InlineData("--full-sync=yes", "isthmus test: --full-sync: invalid value 'yes' (expected true or false)")]
    [InlineData("a b", "isthmus test: unexpected argument 'b'")]
    [InlineData("--full-sync true a", "isthmus test: unexpected argument 'a'")]
    public void A_mistake_names_the_flag_and_what_to_write(string line, string message) =>
        Assert.Equal(message, Assert.Throws<WrongUseException>(() => Set.Read(line.Split(' '))).Message);

    [Fact]
    public void A_required_flag_must_be_given_and_not_be_empty()
    {
        Assert.Equal("a", Set.Read(["-f", "a"]).Required(File));
        Assert.Equal("isthmus test: --file FILE is required", Assert.Throws<WrongUseException>(() => Set.Read([]).Required(File)).Message);
        Assert.Equal("isthmus test: --file FILE is required", Assert.Throws<WrongUseException>(() => Set.Read(["--file="]).Required(File)).Message);
        Assert.Equal(0, Set.Read(["--free-port", "0"]).Required(FreePort));
    }

    [Fact]
    public void A_stand_in_for_another_program_skips_flags_that_it_does_not_know()
    {
        var lenient = new FlagSet("httpbin", Port) { SkipsUnknown = true };
        Assert.Equal(81, lenient.Read(["app:main", "--what", "else", "-x=1", "--port", "81", "more"]).Get(Port));
        Assert.Throws<WrongUseException>(() => lenient.Read(["--port", "x"]));
    }
}
