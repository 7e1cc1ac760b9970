using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Pki;

namespace Isthmus.Lab.ApiServer.Storage;

/// <summary>A change as it is kept on disk: what the object was before says the rest.</summary>
internal readonly record struct ChangeRow(long Revision, GroupResource Resource, string Key, ChangeType Type, StoredObject? Previous);

/// <summary>The database file: objects as they are, and the recent changes so that watches can go on after a restart.</summary>
internal sealed class ObjectFile : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly SqliteStatement _begin, _commit, _rollback, _put, _remove, _change, _trim, _meta;

    internal ObjectFile(string path, bool survivePowerLoss)
    {
        // The database holds Secrets. SQLite gives its journals the same mode.
        PrivateFile.Reserve(path);
        _connection = new(path);
        _connection.Execute("PRAGMA busy_timeout=5000");
        _connection.Execute("PRAGMA journal_mode=WAL");
        // NORMAL survives the end of this process at any moment; FULL also the machine's.
        _connection.Execute($"PRAGMA synchronous={(survivePowerLoss ? "FULL" : "NORMAL")}");
        _connection.Execute(
            "CREATE TABLE IF NOT EXISTS objects(resource TEXT, key TEXT, rev INTEGER NOT NULL, json BLOB NOT NULL, PRIMARY KEY(resource, key)) WITHOUT ROWID");
        _connection.Execute(
            "CREATE TABLE IF NOT EXISTS changes(rev INTEGER PRIMARY KEY, resource TEXT NOT NULL, key TEXT NOT NULL, type INTEGER NOT NULL, prevrev INTEGER, "
                + "prev BLOB)");
        _connection.Execute("CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID");
        _begin = _connection.Prepare("BEGIN IMMEDIATE");
        _commit = _connection.Prepare("COMMIT");
        _rollback = _connection.Prepare("ROLLBACK");
        _put = _connection.Prepare("INSERT OR REPLACE INTO objects(resource, key, rev, json) VALUES(?1, ?2, ?3, ?4)");
        _remove = _connection.Prepare("DELETE FROM objects WHERE resource = ?1 AND key = ?2");
        _change = _connection.Prepare("INSERT INTO changes(rev, resource, key, type, prevrev, prev) VALUES(?1, ?2, ?3, ?4, ?5, ?6)");
        _trim = _connection.Prepare("DELETE FROM changes WHERE rev <= ?1");
        _meta = _connection.Prepare("INSERT OR REPLACE INTO meta(name, value) VALUES(?1, ?2)");
    }

    internal void Begin() => _begin.Run();

    internal void Commit() => _commit.Run();

    /// <summary>After some errors SQLite has rolled back by itself.</summary>
    internal void TryRollback()
    {
        try
        {
            _rollback.Run();
        }
        catch (SqliteException)
        {
            // There is no transaction left to roll back.
        }
    }

    internal void Write(GroupResource resource, ObjectChange change)
    {
        var name = resource.ToString();
        if (change.Type == ChangeType.Deleted) _remove.Bind(1, name).Bind(2, change.Object.Key).Run();
        else _put.Bind(1, name).Bind(2, change.Object.Key).Bind(3, change.Revision).Bind(4, change.Object.Json.Span).Run();
        _change.Bind(1, change.Revision).Bind(2, name).Bind(3, change.Object.Key).Bind(4, (long)change.Type);
        if (change.Previous is { } previous) _change.Bind(5, previous.Revision).Bind(6, previous.Json.Span).Run();
        else _change.BindNull(5).BindNull(6).Run();
    }

    /// <summary>Forgets changes up to this revision.</summary>
    internal void Trim(long compacted)
    {
        _trim.Bind(1, compacted).Run();
        _meta.Bind(1, "compacted").Bind(2, compacted).Run();
    }

    internal void SaveRevision(long revision) => _meta.Bind(1, "revision").Bind(2, revision).Run();

    internal long Meta(string name)
    {
        using var query = _connection.Prepare("SELECT value FROM meta WHERE name = ?1");
        return query.Bind(1, name).Step() ? query.Int64(0) : 0;
    }

    internal IEnumerable<(GroupResource Resource, StoredObject Object)> Objects()
    {
        using var query = _connection.Prepare("SELECT resource, rev, json FROM objects");
        while (query.Step()) yield return (Resource(query.Text(0)), StoredJson.Read(query.Blob(2), query.Int64(1)));
    }

    /// <summary>Newest first.</summary>
    internal IEnumerable<ChangeRow> Changes()
    {
        using var query = _connection.Prepare("SELECT rev, resource, key, type, prevrev, prev FROM changes ORDER BY rev DESC");
        while (query.Step())
        {
            var previous = query.IsNull(5) ? null : StoredJson.Read(query.Blob(5), query.Int64(4));
            yield return new(query.Int64(0), Resource(query.Text(1)), query.Text(2), (ChangeType)query.Int64(3), previous);
        }
    }

    public void Dispose()
    {
        foreach (var statement in new[] { _begin, _commit, _rollback, _put, _remove, _change, _trim, _meta }) statement.Dispose();
        _connection.Dispose();
    }

    private static GroupResource Resource(string text)
    {
        var dot = text.IndexOf('.', StringComparison.Ordinal);
        return dot < 0 ? new("", text) : new(text[(dot + 1)..], text[..dot]);
    }
}
