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
