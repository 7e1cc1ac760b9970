using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Images.Unpacking;

namespace Isthmus.Lab.Nodes.Containers;

/// <summary>The user that an image starts as.</summary>
/// <param name="Group">The user's own group.</param>
/// <param name="Groups">Other groups that have the user as a member.</param>
internal sealed record ImageUser(long Id, long Group, ValueList<long> Groups)
{
    /// <summary>Where <c>HOME</c> points; empty to derive it from the user.</summary>
    internal string Home { get; init; } = "";

    /// <summary>The user's name if the image names it so; empty when it is a number.</summary>
    internal string Name { get; init; } = "";

    internal static ImageUser Of(long id) => new(id, 0, []);
}

/// <summary>The users and groups that an image has in <c>/etc/passwd</c> and <c>/etc/group</c>.</summary>
internal sealed class ImageAccounts
{
    private const int LargestFile = 1 << 20;

    private readonly List<string[]> _users;
    private readonly List<string[]> _groups;

    internal ImageAccounts(string passwd, string group) => (_users, _groups) = (Entries(passwd, 7), Entries(group, 4));

    /// <param name="root">The directory with the files of the image.</param>
    internal static ImageAccounts Read(string root) => new(ReadFile(root, "/etc/passwd"), ReadFile(root, "/etc/group"));

    /// <param name="text">A user, or user and group, by name or number; empty for root.</param>
    /// <exception cref="IdentityException">The image does not know the name.</exception>
    internal ImageUser Find(string text)
    {
        var parts = text.Split(':', 2);
        var user = parts[0].Length == 0 ? "0" : parts[0];
        var isNumber = TryId(user, out var id);
        var entry = _users.Find(one => isNumber ? TryId(one[2], out var other) && other == id : one[0] == user);
        if (!isNumber && (entry is null || !TryId(entry[2], out id)))
            throw new IdentityException($"unable to find user {user}: no matching entries in passwd file");
        var group = parts.Length > 1 && parts[1].Length > 0 ? GroupOf(parts[1]) : entry is not null && TryId(entry[3], out var own) ? own : 0;
        return new(id, group, entry is null ? [] : GroupsOf(entry[0], group))
        {
            Home = entry is { } known && known[5].Length > 0 ? known[5] : "", Name = isNumber ? "" : user,
        };
    }

    private long GroupOf(string text)
    {
        if (TryId(text, out var number)) return number;
        return _groups.Find(one => one[0] == text) is { } entry && TryId(entry[2], out var id)
            ? id
            : throw new IdentityException($"unable to find group {text}: no matching entries in group file");
    }

    private ValueList<long> GroupsOf(string user, long own) =>
        [.. _groups.Where(one => one[3].Split(',').Contains(user)).Select(one => TryId(one[2], out var id) ? id : own).Where(id => id != own).Distinct()];

    private static bool TryId(string text, out long id) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out id) && id < uint.MaxValue;

    private static List<string[]> Entries(string text, int fields) =>
        [.. text.Split('\n').Select(line => line.TrimEnd('\r').Split(':')).Where(entry => entry.Length >= fields && entry[0].Length > 0)];

    private static string ReadFile(string root, string path)
    {
        var file = new FileInfo(root + ScopedPath.Resolve(root, path));
        return file is { Exists: true, Length: <= LargestFile } ? File.ReadAllText(file.FullName) : "";
    }
}
