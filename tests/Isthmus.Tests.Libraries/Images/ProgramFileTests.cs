using Isthmus.Core.Problems;
using Isthmus.Images.Building;
using Isthmus.Images.Description;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Images;

public sealed class ProgramFileTests
{
    private static readonly Version New = new(99, 0), Old = new(2, 2);

    [Fact]
    public void A_program_of_this_machine_runs_where_architecture_and_glibc_are_as_new()
    {
        var program = ProgramFile.Read("/bin/cat", "--with-envoy");
        Assert.Equal(ImagePlatform.Architecture, program.Machine);
        Assert.Contains("libc.so.6", program.Libraries);
        Assert.True(program.Glibc > new Version(2, 3), $"{program.Glibc}");
        Assert.Null(program.Reject(ImagePlatform.Architecture, New));
        Assert.Equal($"needs glibc {program.Glibc}, and the image has 2.2", program.Reject(ImagePlatform.Architecture, Old));
        Assert.Equal($"is a program for {ImagePlatform.Architecture}, and the image is for s390x", program.Reject("s390x", New));
        Assert.Contains("needs the library libstdc++", (program with { Libraries = ["libstdc++.so.6"] }).Reject(ImagePlatform.Architecture, New),
            StringComparison.Ordinal);
        Assert.Contains("needs the loader /lib/ld-musl", (program with { Interpreter = "/lib/ld-musl-x86_64.so.1" }).Reject(ImagePlatform.Architecture, New),
            StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_no_program_is_refused()
    {
        var path = Path.GetTempFileName();
        try
        {
            foreach (var text in (string[])["", "#!/bin/sh\n", "#!/bin/sh\n" + new string('#', 100)])
            {
                File.WriteAllText(path, text);
                Assert.Contains("is not a program for Linux", Refused(path), StringComparison.Ordinal);
            }
            File.Delete(path);
            Assert.Contains("cannot be read", Refused(path), StringComparison.Ordinal);
            // Headers that lead past the end.
            File.WriteAllBytes(path, [.. File.ReadAllBytes("/bin/cat").Take(2000)]);
            Assert.Contains("cannot be read", Refused(path), StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_real_Envoy_runs_in_the_image()
    {
        Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);
        var program = ProgramFile.Read(RealEnvoy.Find()!, "--with-envoy");
        Assert.Null(program.Reject(program.Machine, new(2, 41)));
    }

    private static string Refused(string path) => Assert.Throws<ProblemException>(() => ProgramFile.Read(path, "--with-envoy")).Message;
}
