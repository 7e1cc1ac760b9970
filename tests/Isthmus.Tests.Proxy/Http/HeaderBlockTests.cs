using System.Text;
using Isthmus.Proxy.Messages;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Http;

public sealed class HeaderBlockTests
{
    [Fact]
    public void A_head_that_fits_is_read_edited_and_written_without_allocating()
    {
        var (block, copy) = (new HeaderBlock(), new HeaderBlock());
        using var writer = new ByteWriter();
        void Once()
        {
            block.Clear();
            block.Add("Host"u8, "shop.example"u8);
            block.Add("X-Request-Id"u8, "7d4f1c1e"u8);
            block.Add("accept"u8, "*/*"u8);
            block.Add("accept"u8, "text/html"u8);
            block.Set("x-forwarded-proto"u8, "http");
            block.Set("accept"u8, "text/plain"u8);
            block.Remove("x-request-id"u8);
            copy.CopyFrom(block);
            HeadWriter.Trailers<Http1Fields>(writer, copy);
        }
        Once();
        Assert.Equal("accept: text/plain\r\nx-forwarded-proto: http\r\n", Encoding.ASCII.GetString(writer.Written.Span));
        writer.Clear();

        Assert.Equal(0, Allocations.Least(() =>
        {
            for (var i = 0; i < 1000; i++)
            {
                Once();
                writer.Clear();
            }
        }));
    }
}
