using System.IO.Compression;
using System.Text;
using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose.Packing;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Packing;

/// <summary>Files that <c>isthmus bug-report</c> did not write.</summary>
public sealed class BrokenPackTests
{
    private const long ThreeGiB = 3L << 30;

    [Fact]
    public void A_file_that_claims_more_than_it_holds_is_an_error() => Refused(Header("bug-report/manifest.json", ThreeGiB), "cannot be read");

    [Fact]
    public void A_file_without_a_manifest_is_an_error() => Refused(new byte[1024], "has no manifest.json");

    [Theory]
    [InlineData("""{"version": 2, "takenAt": "2026-01-02T03:04:05Z"}""", "a manifest of version 2")]
    [InlineData("""{"version": 1}""", "cannot be read: takenAt is missing")]
    [InlineData("""{"version": 1, "takenAt": "yesterday"}""", "cannot be read: ")]
    [InlineData("""{"version": 1, "takenAt": "2026-01-02T03:04:05Z", "clusters": [null]}""", "cannot be read: a cluster is null")]
    [InlineData("""{"version": 1, "takenAt": "2026-01-02T03:04:05Z", "context": null}""", "cannot be read: ")]
    [InlineData("""{"version": 1, "version": 1, "takenAt": "2026-01-02T03:04:05Z"}""", "cannot be read: ")]
    [InlineData("[]", "a manifest of version unknown")]
    [InlineData("{", "cannot be read: ")]
    public void A_manifest_that_is_not_ours_is_an_error(string text, string why) =>
        Assert.Contains(why, Assert.Throws<ProblemException>(() => PackManifest.Read(text, "file")).Message, StringComparison.Ordinal);

    [Fact]
    public void A_manifest_is_read_as_it_was_written_and_what_it_lacks_is_empty()
    {
        var made = new PackManifest(new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero), "0.1.0", "c1", "istio-system",
            [new("a/b", "https://10.0.0.1", "shop", "", 3, 1, 2) { Missing = ["core/nodes: no"] }], 9);
        var read = PackManifest.Read(made.Tree().ToJsonString(), "file");
        Assert.Equivalent(made, read, strict: true);
        Assert.Contains("\"folder\":\"clusters/a%2Fb\"", made.Tree().ToJsonString(), StringComparison.Ordinal);

        var few = PackManifest.Read("""{"version": 1, "takenAt": "2026-01-02T03:04:05.0000000+00:00", "clusters": [{"context": "c1"}]}""", "file");
        Assert.Equal(("", 0), (few.MadeBy, few.Files));
        Assert.Empty(Assert.Single(few.Clusters).Missing);
    }

    private static void Refused(byte[] tar, string why)
    {
        var file = Path.GetTempFileName();
        try
        {
            using (var gzip = new GZipStream(File.Create(file), CompressionLevel.Fastest)) gzip.Write(tar);
            Assert.Contains(why, Assert.Throws<ProblemException>(() => MeshPack.Open(file)).Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>The header of a file in an archive (POSIX ustar).</summary>
    private static byte[] Header(string name, long size)
    {
        var header = new byte[512];
        void Put(int at, string text) => Encoding.ASCII.GetBytes(text).CopyTo(header, at);
        Put(0, name);
        Put(100, "0000644\0" + "0000000\0" + "0000000\0");
        Put(124, $"{Convert.ToString(size, 8).PadLeft(11, '0')}\0" + "00000000000\0" + "        " + "0");
        Put(257, "ustar\0" + "00");
        Put(148, $"{Convert.ToString(header.Sum(value => (int)value), 8).PadLeft(6, '0')}\0 ");
        return header;
    }
}
