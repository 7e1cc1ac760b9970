using Isthmus.Lab.Machine.Linux;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab;

[Trait("shard", "node")]
public sealed class NamespaceThreadTests
{
    [Fact]
    public async Task No_thread_of_the_pool_ends_up_in_a_namespace_that_was_entered()
    {
        await using var allowed = TestNetwork.Create();
        using var other = NamespaceHandle.CreateNetwork();
        var own = Current();
        var inside = await Task.WhenAll(Enumerable.Range(0, 300).Select(async _ =>
        {
            var seen = await NamespaceThread.RunAsync([other], Current);
            // Continues on a worker that may have been started just for it.
            Assert.Equal(own, Current());
            return seen;
        }));
        Assert.DoesNotContain(own, inside);
        Assert.All(await Task.WhenAll(Enumerable.Range(0, 300).Select(_ => Task.Run(Current))), seen => Assert.Equal(own, seen));
    }

    [Fact]
    public void What_fails_inside_is_thrown_outside() =>
        Assert.Throws<InvalidDataException>(() => NamespaceThread.Run<int>([], () => throw new InvalidDataException("inside")));

    private static string Current() => new FileInfo("/proc/thread-self/ns/net").LinkTarget!;
}
