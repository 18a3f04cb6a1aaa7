"""The cache of models as huggingface_hub itself reads and fills it; hub-cache.ts starts it.

    python hub_cache.py read OWNER/NAME FILE ...     what lies there, asking nobody (HF_HUB_OFFLINE=1)
    python hub_cache.py fetch OWNER/NAME FILE ...    fetched from HF_ENDPOINT
"""
import hashlib
import json
import sys

import huggingface_hub
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download, try_to_load_from_cache


def digest(path):
    with open(path, 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()


def read(repository, files):
    snapshot = snapshot_download(repository)
    scanned = scan_cache_dir()
    repositories = [repo for repo in scanned.repos if repo.repo_id == repository]
    return {
        'files': {
            name: {
                'found': digest(try_to_load_from_cache(repository, name)),
                'downloaded': digest(hf_hub_download(repository, name)),
                'snapshot': digest(f'{snapshot}/{name}'),
            }
            for name in files
        },
        'revisions': [
            {
                'commit': revision.commit_hash,
                'refs': sorted(revision.refs),
                'files': sorted(file.file_name for file in revision.files),
            }
            for repo in repositories
            for revision in repo.revisions
        ],
        'bytes': sum(repo.size_on_disk for repo in repositories),
        'warnings': [str(warning) for warning in scanned.warnings],
        'unfinished': len(getattr(scanned, 'incomplete_files', ())),
    }


def fetch(repository, files):
    return {'files': {name: digest(hf_hub_download(repository, name)) for name in files}}


work, repository, *files = sys.argv[1:]
answer = {'read': read, 'fetch': fetch}[work](repository, files)
print(json.dumps({'version': huggingface_hub.__version__, **answer}))
